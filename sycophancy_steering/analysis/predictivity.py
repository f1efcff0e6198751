"""How well projections on vectors predict sycophantic answers: the table, cell by cell.

A cell is one family (or one source within it) of one split, read at one layer and position. Beside
every AUROC stand the nulls: random directions, shuffled labels, the letter of the sycophantic
option, the length of the prompt, and the model's own margin between the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cell_metrics import measures, random_range
from sycophancy_steering.analysis.cells import cells, counts
from sycophancy_steering.analysis.permuted_vectors import aurocs
from sycophancy_steering.analysis.readouts import (
    RANDOM_DIRECTIONS,
    READ_AT,
    READOUTS,
    TOGETHER,
    project,
)
from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics.sign_flips import Flips
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

ARRAYS = 16
"""As many arrays of the scores' size are alive at once, at most."""


def predictivity(
    vectors: Mapping[str, Floats],
    read_layer: Callable[[int, str], Stream],
    responses: pl.DataFrame,
    seed: int,
    noise: GraderError | None = None,
    memory_mb: int = 32,
    flips: Flips | None = None,
) -> pl.DataFrame:
    """One row a vector, layer it was made at, layer and position it is read at, cell and read-out.

    Each of `vectors` is (layers, d_model); `read_layer(layer, position)` gives the states
    (n, d_model) of the n rows of `responses` (see `label_files.py`). With `noise`, AUROCs and their
    intervals are those against labels without it. As many vectors are scored at once as `memory_mb`
    has room for, which makes no difference to the result. `flips` gathers the projections' tests.
    """
    names, (layers, width) = list(vectors), next(iter(vectors.values())).shape
    held = cells(responses)
    select = {(cell.family, cell.source): cell for cell in held if cell.split == "select"}
    # Of each vector, so many layers at a time.
    made_at = [range(at, min(at + TOGETHER, layers)) for at in range(0, layers, TOGETHER)]
    pieces = [(name, part) for name in names for part in made_at]
    rows = len(made_at[0]) * len(READOUTS)
    at_once = max(1, memory_mb * 2**20 // (len(responses) * 8 * rows * ARRAYS))
    tables = []
    for position in READ_AT:
        for layer in range(layers):
            states = read_layer(layer, position)
            draw = np.random.default_rng([seed, layer])
            directions = draw.standard_normal((RANDOM_DIRECTIONS, width))
            null = aurocs(directions, states, [cell.labelled for cell in held])
            ranges = [random_range(areas, noise) for areas in null]
            found = []
            for start in range(0, len(pieces), at_once):
                part = pieces[start : start + at_once]
                made = [vectors[name][at.start : at.stop].astype(np.float64) for name, at in part]
                read = project(states, np.concatenate(made)).reshape(-1, len(states))
                for cell, by_chance in zip(held, ranges, strict=True):
                    fitted_on = (
                        select.get((cell.family, cell.source)) if cell.split == "test" else None
                    )
                    index = {
                        "name": [name for name, at in part for _ in at] * len(READOUTS),
                        "extraction_layer": [n for _, at in part for n in at] * len(READOUTS),
                        "readout": [way for way in READOUTS for _, at in part for _ in at],
                    }
                    same = {
                        "layer": layer,
                        "position": position,
                        "family": cell.family,
                        "source": cell.source,
                        "split": cell.split,
                        **counts(cell),
                        **by_chance,
                    }
                    columns = measures(cell, read, fitted_on, seed, noise)
                    if flips and cell.split == "test" and cell.source == EVERY_SOURCE:
                        half = len(read) // len(READOUTS)  # the projections
                        scores = np.take(read[:half], cell.rows, axis=1)
                        of = index["name"][:half]
                        flip = flips.measure(of, scores, cell.labels, cell.items)
                        columns["flip"] = np.concatenate([flip, np.full(half, np.nan)])
                    else:
                        columns["flip"] = np.full(len(read), np.nan)
                    found.append(
                        pl.DataFrame(index | columns).with_columns(
                            pl.lit(value).alias(name) for name, value in same.items()
                        )
                    )
            # Thousands of small tables take as much memory as what is in them, and again.
            tables.append(pl.concat(found, how="vertical_relaxed", rechunk=True))
    return pl.concat(tables, how="vertical_relaxed")


def choose_layers(table: pl.DataFrame, families: list[str]) -> pl.DataFrame:
    """For each vector (`name`) and `position`, the `layer` that does best on `select`, never on
    `test`, where the projection is read at the layer that the vector was made at.

    On the families that the vector was made from, as labels of other kinds would not be at hand;
    on all of them where the evaluation has none of these. The first of equals.
    """
    own = pl.col("extraction_layer") == pl.col("layer")
    fit = (pl.col("split") == "select") & (pl.col("source") == EVERY_SOURCE) & own
    tried = table.filter(fit & (pl.col("readout") == "projection") & pl.col("auroc").is_not_nan())
    known = tried.filter(pl.col("family").is_in(families))
    means = (
        (known if len(known) else tried)
        .group_by("name", "position", "layer")
        .agg(pl.col("auroc").mean())
    )
    best = means.sort("name", "position", "auroc", "layer", descending=[False, False, True, False])
    return best.unique(["name", "position"], keep="first", maintain_order=True).drop("auroc")


def generalisation(extraction: pl.DataFrame, evaluation: pl.DataFrame) -> dict[str, str]:
    """Family -> what kind of generalisation its numbers show, from the new to the newest.

    Raises InputError if a question, or an item with its persona, is in both: then nothing is shown.
    """
    keys = ["item", "persona"]  # whatever the source: one file can be two sources
    both = extraction.join(evaluation, on="id", how="semi")
    both = both if len(both) else extraction.join(evaluation, on=keys, how="semi")
    if len(both):
        row = both.row(0, named=True)
        raise InputError(
            f"extraction and evaluation share {len(both)} questions, such as {row['id']} "
            f"({row['source']}: {row['item']}, {row['persona'] or 'nobody named'}); expected none: "
            "give the two prompt sets different splits in params.yaml"
        )
    kinds = {}
    about = evaluation.select("family", "source", "item").unique(maintain_order=True)
    for (family,), held in about.group_by("family", maintain_order=True):
        if family not in extraction["family"]:
            kinds[str(family)] = "another family"
        elif not set(held["source"]) & set(extraction["source"]):
            kinds[str(family)] = "another source"
        elif not set(held["item"]) & set(extraction["item"]):
            kinds[str(family)] = "new items"
        else:
            kinds[str(family)] = "same items, new personas"
    return kinds


def described(table: pl.DataFrame, about: pl.DataFrame, layers: pl.DataFrame) -> pl.DataFrame:
    """The table with how each vector was made, and whether a cell's layer was the chosen one."""
    about = about.rename({"position": "made_at"}, strict=False)
    table = table.join(about, on="name", how="left", maintain_order="left")
    chosen = layers.with_columns(pl.lit(True).alias("chosen"))
    own = pl.col("extraction_layer") == pl.col("layer")
    keys = ["name", "position", "layer"]
    return table.join(chosen, on=keys, how="left", maintain_order="left").with_columns(
        pl.col("chosen").fill_null(False) & own
    )
