"""How well projections on a vector predict sycophantic answers: the table, cell by cell.

A cell is one family (or one source within it) of one split, read at one layer and position. Beside
every AUROC stand the nulls: random directions, shuffled labels, the letter of the sycophantic
option, the length of the prompt, and the model's own margin between the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lib.cells import EVERY_SOURCE, POSITIONS
from lib.label_noise import LabelNoise
from lib.refusal import Refusal
from lib.statistics import (
    auroc,
    clustered_auroc,
    clustered_correlation,
    items_of_rarer,
    middle,
    shuffled_auroc,
    stretched,
    without_label_noise,
)

Floats = NDArray[np.float64]

READOUTS = ("projection", "cosine")
"""Dot product with the unit vector; cosine of the whole state with the vector."""
RANDOM_DIRECTIONS = 200
SHUFFLES = 200


def project(states: Floats, vectors: Floats) -> Floats:
    """Read-outs (2, k, n) of `states` (n, d_model) on `vectors` (k, d_model), as in `READOUTS`."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    projection = unit @ states.T
    norms = np.linalg.norm(states, axis=1)
    cosine = np.divide(projection, norms, out=np.zeros_like(projection), where=norms > 0)
    return np.stack([projection, cosine])


def predictivity(
    vectors: Floats,
    read_layer: Callable[[int, str], Floats],
    responses: pl.DataFrame,
    seed: int,
    noise: LabelNoise | None = None,
) -> pl.DataFrame:
    """One row a cell and read-out.

    `vectors` is (layers, d_model); `read_layer(layer, position)` gives the states (n, d_model) of
    the n rows of `responses` (see `label_files.py`). With `noise`, AUROCs and intervals are those
    against labels without it.
    """
    rows = []
    for position in POSITIONS:
        for layer, vector in enumerate(vectors):
            states = read_layer(layer, position).astype(np.float64)
            draw = np.random.default_rng([seed, layer])
            null = draw.standard_normal((RANDOM_DIRECTIONS, vectors.shape[1]))
            read = project(states, vector[None].astype(np.float64))[:, 0]
            read_null = project(states, null)[0]
            for name, member in cells(responses):
                held = responses.filter(pl.Series(member))
                rows += [
                    {"layer": layer, "position": position, **name, "readout": readout, **measured}
                    for readout, measured in zip(
                        READOUTS,
                        cell(read[:, member], read_null[:, member], held, seed, noise),
                        strict=True,
                    )
                ]
    return pl.DataFrame(rows, infer_schema_length=None)


def cells(responses: pl.DataFrame) -> Iterator[tuple[dict[str, str], NDArray[np.bool_]]]:
    """Names and members (n,) of every family, and of each source of a family that has several."""
    for (family, split), held in responses.group_by("family", "split", maintain_order=True):
        sources = held["source"].unique(maintain_order=True).to_list()
        for source in [EVERY_SOURCE, *(sources if len(sources) > 1 else [])]:
            member = (responses["family"] == family) & (responses["split"] == split)
            if source != EVERY_SOURCE:
                member &= responses["source"] == source
            yield {"family": str(family), "source": source, "split": str(split)}, member.to_numpy()


def cell(
    read: Floats,
    read_null: Floats,
    held: pl.DataFrame,
    seed: int,
    noise: LabelNoise | None = None,
) -> list[dict[str, object]]:
    """What is reported of one cell, for each read-out (`read` is (readouts, n))."""
    labelled = held["label"].is_not_null().to_numpy()
    answered = held.filter(pl.Series(labelled))
    labels = answered["label"].to_numpy().astype(int)
    items = answered["item"].to_numpy()
    read, read_null = read[:, labelled], read_null[:, labelled]
    places = answered["matching"].str.to_integer(base=36).to_numpy().astype(float)
    hidden = (answered["form"] != "letters").to_numpy()
    places[hidden] = 0.0  # no letter is shown, so none can give the answer away
    nulls = auroc(
        np.stack([-places, answered["prompt_tokens"].to_numpy(), answered["margin"].to_numpy()]),
        labels,
    )
    area = clustered_auroc(read, labels, items)
    area = without_label_noise(area, noise) if noise else area
    correlation = clustered_correlation(read, labels, items)
    shuffled = shuffled_auroc(read, labels, SHUFFLES, seed)
    random = middle(auroc(read_null, labels))
    if noise:
        shuffled = stretched(shuffled[0], noise), stretched(shuffled[1], noise)
        random = stretched(random[0], noise), stretched(random[1], noise)
    shared = {
        "n": len(labels),
        "n_sycophantic": int(labels.sum()),
        "items": len(set(items)),
        "items_of_rarer": items_of_rarer(labels, items),
        "invalid_share": float(1 - labelled.mean()),
        "letter_auroc": nulls[0],
        "length_auroc": nulls[1],
        "margin_auroc": nulls[2],
        "random_low": random[0],
        "random_high": random[1],
    }
    return [
        {
            "auroc": area.value[n],
            "auroc_low": area.low[n],
            "auroc_high": area.high[n],
            "correlation": correlation.value[n],
            "correlation_low": correlation.low[n],
            "correlation_high": correlation.high[n],
            "shuffled_low": shuffled[0][n],
            "shuffled_high": shuffled[1][n],
            **shared,
        }
        for n in range(len(read))
    ]


def choose_layers(table: pl.DataFrame, families: list[str]) -> dict[str, int]:
    """Position -> the layer whose projection does best on `select`, never on `test`.

    On the families that the vector was made from, as labels of other kinds would not be at hand;
    on all of them where the evaluation has none of these. The first of equals.
    """
    fit = (pl.col("split") == "select") & (pl.col("source") == EVERY_SOURCE)
    cells = table.filter(fit & (pl.col("readout") == "projection") & pl.col("auroc").is_not_nan())
    known = cells.filter(pl.col("family").is_in(families))
    cells = known if len(known) else cells
    means = cells.group_by("position", "layer").agg(pl.col("auroc").mean())
    best = means.sort("position", "auroc", "layer", descending=[False, True, False])
    return {
        position: held["layer"][0]
        for (position,), held in best.group_by("position", maintain_order=True)
    }


def generalisation(extraction: pl.DataFrame, evaluation: pl.DataFrame) -> dict[str, str]:
    """Family -> what kind of generalisation its numbers show, from the new to the newest.

    Raises Refusal if a question, or an item with its persona, is in both: then nothing is shown.
    """
    keys = ["item", "persona"]  # whatever the source: one file can be two sources
    both = extraction.join(evaluation, on="id", how="semi")
    both = both if len(both) else extraction.join(evaluation, on=keys, how="semi")
    if len(both):
        row = both.row(0, named=True)
        raise Refusal(
            f"extraction and evaluation share {len(both)} questions, such as {row['id']} "
            f"({row['source']}: {row['item']}, {row['persona'] or 'nobody named'}); expected none: "
            "give the two prompt sets different splits in params.yaml"
        )
    kinds = {}
    for (family,), held in evaluation.group_by("family", maintain_order=True):
        if family not in extraction["family"]:
            kinds[str(family)] = "another family"
        elif not set(held["source"]) & set(extraction["source"]):
            kinds[str(family)] = "another source"
        elif not set(held["item"]) & set(extraction["item"]):
            kinds[str(family)] = "new items"
        else:
            kinds[str(family)] = "same items, new personas"
    return kinds
