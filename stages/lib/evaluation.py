"""Cells of an evaluation: the answers of one family (or source within it) and split, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lib.average_precision import average_precision
from lib.calibration import brier, calibration_error, fit
from lib.cell_files import EVERY_SOURCE
from lib.label_noise import LabelNoise
from lib.statistics import (
    Estimate,
    Floats,
    auroc,
    clustered_auroc,
    clustered_correlation,
    items_of_rarer,
    middle,
    shuffled_auroc,
    stretched,
    without_label_noise,
)

SHUFFLES = 200


@dataclass(frozen=True)
class Cell:
    """The labelled answers of one family, source and split."""

    family: str
    source: str
    split: str
    rows: NDArray[np.integer]
    """(n,) where they stand among all answers."""
    labels: NDArray[np.integer]
    """(n,)"""
    items: NDArray[np.str_]
    """(n,)"""
    invalid_share: float
    """Of this cell's answers, those without a label."""
    nulls: dict[str, float]
    """AUROC of the letter of the sycophantic option, of the prompt's length, of the margin."""


def cells(responses: pl.DataFrame) -> list[Cell]:
    """Every family and split, and each source of a family that has several."""
    found = []
    for (family, split), held in responses.with_row_index("row").group_by(
        "family", "split", maintain_order=True
    ):
        sources = held["source"].unique(maintain_order=True).to_list()
        for source in [EVERY_SOURCE, *(sources if len(sources) > 1 else [])]:
            part = held if source == EVERY_SOURCE else held.filter(pl.col("source") == source)
            answered = part.filter(pl.col("label").is_not_null())
            found.append(
                Cell(
                    str(family),
                    source,
                    str(split),
                    rows=answered["row"].to_numpy().astype(int),
                    labels=answered["label"].to_numpy().astype(int),
                    items=answered["item"].to_numpy().astype(str),
                    invalid_share=1 - len(answered) / len(part),
                    nulls=_nulls(answered),
                )
            )
    return found


def _nulls(answered: pl.DataFrame) -> dict[str, float]:
    """What predicts the labels of `answered` without any vector."""
    shown = (answered["form"] == "letters").to_numpy()
    places = answered["matching"].str.to_integer(base=36).to_numpy().astype(float)
    reads = {
        "letter_auroc": np.where(shown, -places, 0.0),  # none can give a hidden letter away
        "length_auroc": answered["prompt_tokens"].to_numpy(),
        "margin_auroc": answered["margin"].to_numpy(),
    }
    found = auroc(np.stack([*reads.values()]), answered["label"].to_numpy().astype(int))
    return dict(zip(reads, found.tolist(), strict=True))


def counts(cell: Cell) -> dict[str, object]:
    """What is the same for every read-out of a cell."""
    return {
        "n": len(cell.labels),
        "n_sycophantic": int(cell.labels.sum()),
        "items": len(set(cell.items)),
        "items_of_rarer": items_of_rarer(cell.labels, cell.items),
        "invalid_share": cell.invalid_share,
        **cell.nulls,
    }


def measures(
    cell: Cell, read: Floats, fitted_on: Cell | None, seed: int, noise: LabelNoise | None
) -> dict[str, Floats]:
    """Column -> (k,) of `read` (k, N), the scores of all answers, on the answers of a cell.

    Probabilities come from a fit of one parameter on the answers of `fitted_on`, never on the
    cell's own; without it there are none.
    """
    scores = np.take(read, cell.rows, axis=1)
    one_class = cell.labels.min(initial=1) == cell.labels.max(initial=0)
    undefined = Estimate(*(np.full(len(read), np.nan) for _ in range(3)))
    area = clustered_auroc(scores, cell.labels, cell.items)
    shuffled = shuffled_auroc(scores, cell.labels, SHUFFLES, seed)
    if noise:
        area = without_label_noise(area, noise)
        shuffled = stretched(shuffled[0], noise), stretched(shuffled[1], noise)
    found = {
        "auroc": area,
        "auprc": average_precision(scores, cell.labels, cell.items),
        "correlation": clustered_correlation(scores, cell.labels, cell.items),
        "brier": undefined,
        "calibration": undefined,
    }
    if fitted_on and not one_class and len(set(fitted_on.labels)) == 2:
        likely = fit(np.take(read, fitted_on.rows, axis=1), fitted_on.labels).probabilities(scores)
        found["brier"] = brier(likely, cell.labels, cell.items)
        found["calibration"] = calibration_error(likely, cell.labels, cell.items)
    columns: dict[str, Floats] = {}
    for name, each in found.items():
        columns |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    return columns | {"shuffled_low": shuffled[0], "shuffled_high": shuffled[1]}


def random_range(cell: Cell, null: Floats, noise: LabelNoise | None) -> dict[str, object]:
    """The range that holds 95% of the AUROCs of random directions' scores `null` (k, N)."""
    ends = middle(auroc(null[:, cell.rows], cell.labels))
    low, high = (stretched(end, noise) if noise else end for end in ends)
    return {"random_low": float(low), "random_high": float(high)}
