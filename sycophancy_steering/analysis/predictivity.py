"""How well projections on vectors predict sycophantic answers, cell by cell.

A cell is the answers of one family (or one source within it) of one split, read at one layer and
position. Beside every AUROC stand what it is among answers about one item and of one template, the
rank correlation with the shift of the log-odds that the user's words bring about, and null models:
shuffled labels, the letter of the sycophantic option, the length of the prompt, the model's own
logit margin, and random directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.analysis.cell_metrics import cell_metrics, random_direction_range
from sycophancy_steering.analysis.cells import Cell, cell_columns, evaluation_cells
from sycophancy_steering.analysis.readouts import (
    READ_POSITIONS,
    READOUTS,
    random_direction_aurocs,
    read_out,
)
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.schemas.predictivity import WITHIN_AND_RANK
from sycophancy_steering.statistics.rank_correlation import item_rank_influences
from sycophancy_steering.statistics.sign_flips import SignFlipTest
from sycophancy_steering.storage.cell_files import EVERY_SOURCE
from sycophancy_steering.storage.vector_files import has_vector

ARRAYS_IN_MEMORY = 16
"""The largest number of arrays of the scores' size that exist at the same time."""
Activations = Callable[[int, str], ArrayStream]
"""The activations (n, d_model) after a layer, at a position."""


@dataclass(frozen=True)
class SignFlips:
    """Collects the projections' statistics under random sign flips of the items."""

    auroc: SignFlipTest
    rank: SignFlipTest
    """Of the rank correlation with the shift."""


@dataclass(frozen=True)
class EvaluationOptions:
    """How vectors are evaluated."""

    seed: int = 0
    """Of random directions and shuffled labels."""
    grader_error: GraderError | None = None
    """Where given, AUROCs and their intervals are those against labels without it."""
    memory_mb: int = 32
    """Megabytes that scores may take; changes no result."""
    max_layer_distance: int = 0
    """The most layers between the one that a vector was made at and one that it is read at."""
    sign_flips: SignFlips | None = None


def evaluate_vectors(
    vectors: Mapping[str, np.ndarray],
    activations: Activations,
    labels: pl.DataFrame,
    options: EvaluationOptions,
) -> pl.DataFrame:
    """One row a vector, extraction layer, layer and position read, cell and read-out.

    Each of `vectors` is (layers, d_model); a layer that is NaN has no rows.
    `activations(layer, position)` is (n, d_model), of the n
    rows of `labels` (see `LABEL_COLUMNS`). Random directions are those of
    `random_direction_ranges`.
    """
    cells = evaluation_cells(labels)
    extraction_layers = {
        name: np.flatnonzero(has_vector(layers)) for name, layers in vectors.items()
    }
    n_layers = len(next(iter(vectors.values())))
    readings = layers_read(extraction_layers, n_layers, options.max_layer_distance)
    # The scores of many layers at once: the time of small arrays is that of calling numpy.
    size = max(1, options.memory_mb * 2**20 // (len(labels) * 8 * len(READOUTS) * ARRAYS_IN_MEMORY))
    tables = []
    for position in READ_POSITIONS:
        for start in range(0, len(readings), size):
            block = readings[start : start + size]
            scores = _scores(block, vectors, activations, position)
            parts = _cell_tables(block, scores, cells, options)
            # Joined at once: many small tables take twice the memory of one.
            table = pl.concat(parts, how="vertical_relaxed", rechunk=True)
            tables.append(table.with_columns(pl.lit(position).alias("position")))
    return pl.concat(tables, how="vertical_relaxed")


def layers_read(
    extraction_layers: Mapping[str, NDArray[np.integer]], n_layers: int, max_distance: int
) -> pl.DataFrame:
    """`layer`, `vector` and `extraction_layer`, at most `max_distance` layers from one another."""
    rows = [
        (layer, name, int(extraction_layer))
        for layer in range(n_layers)
        for name, own_layers in extraction_layers.items()
        for extraction_layer in own_layers
        if abs(extraction_layer - layer) <= max_distance
    ]
    schema = {"layer": pl.Int32, "vector": pl.String, "extraction_layer": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def random_direction_ranges(
    activations: Activations,
    position: str,
    cells: list[Cell],
    layers_and_width: tuple[int, int],
    options: EvaluationOptions,
) -> pl.DataFrame:
    """The central 95% of the AUROCs of random directions: a row a layer and cell.

    They depend on the answers alone, so that the vectors of all sets share them.
    """
    n_layers, d_model = layers_and_width
    rows = []
    for layer in range(n_layers):
        aurocs = random_direction_aurocs(
            options.seed, layer, d_model, activations(layer, position), cells
        )
        rows += [
            {"layer": layer, "position": position}
            | {"family": cell.family, "source": cell.source, "split": cell.split}
            | random_direction_range(null, options.grader_error)
            for cell, null in zip(cells, aurocs, strict=True)
        ]
    return pl.DataFrame(rows, schema_overrides={"layer": pl.Int32})


def _scores(
    block: pl.DataFrame,
    vectors: Mapping[str, np.ndarray],
    activations: Activations,
    position: str,
) -> Floats:
    """(2 k, n): for each row of `block` the projections, then for each the cosines."""
    parts = []
    for (layer,), rows in block.group_by("layer", maintain_order=True):
        keys = rows.select("vector", "extraction_layer").iter_rows()
        stacked = np.stack([vectors[name][number] for name, number in keys]).astype(np.float64)
        parts.append(read_out(activations(int(str(layer)), position), stacked))
    both = np.concatenate(parts, axis=1)
    return both.reshape(-1, both.shape[-1])


def _cell_tables(
    block: pl.DataFrame, scores: Floats, cells: list[Cell], options: EvaluationOptions
) -> Iterator[pl.DataFrame]:
    """For each cell, a row for each row of `block` and read-out."""
    select = {(cell.family, cell.source): cell for cell in cells if cell.split == "select"}
    index = pl.concat(block.with_columns(pl.lit(readout).alias("readout")) for readout in READOUTS)
    for cell in cells:
        fitted_on = select.get((cell.family, cell.source)) if cell.split == "test" else None
        columns = cell_metrics(cell, scores, fitted_on, options.seed, options.grader_error)
        columns |= _sign_flip_columns(block["vector"].to_list(), scores, cell, options.sign_flips)
        constants = {"family": cell.family, "source": cell.source, "split": cell.split}
        constants |= cell_columns(cell)
        yield index.with_columns(
            *(pl.Series(name, values) for name, values in columns.items()),
            *(pl.lit(value).alias(name) for name, value in constants.items()),
        ).with_columns(pl.col(WITHIN_AND_RANK).fill_nan(None))


def _sign_flip_columns(
    names: list[str], scores: Floats, cell: Cell, tests: SignFlips | None
) -> dict[str, Floats]:
    """Statistics of sign flips, and the rank correlation's own p-value, of the projections on
    vectors of `names` (k,), the first k of `scores`; NaN in other cells than those tested."""
    columns = ("sign_flip_statistic", "rank_statistic", "rank_correlation_p")
    auroc, rank, p = (np.full(len(scores), np.nan) for _ in columns)
    if tests and cell.split == "test" and cell.source == EVERY_SOURCE:
        k, shifts = len(names), cell.shifts
        projections = np.take(scores[:k], cell.rows, axis=1)
        auroc[:k] = tests.auroc.add(names, projections, cell.labels, cell.items)
        if len(shifts.rows):
            projections = np.take(scores[:k], shifts.rows, axis=1)
            observed, influences = item_rank_influences(
                projections, shifts.values, shifts.items, tests.rank.items
            )
            rank[:k] = observed
            p[:k] = tests.rank.add_influences(names, observed, influences)
    return dict(zip(columns, (auroc, rank, p), strict=True))
