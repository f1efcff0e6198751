"""Evaluation cells: the labelled answers of one family (or source in it) and split, as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.auroc import auroc, n_items_of_rarer_class
from sycophancy_steering.statistics.stratified_auroc import informative_answers
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

LABEL_COLUMNS = [
    *("id", "source", "family", "item", "template", "split", "label", "form", "matching"),
    *("prompt_tokens", "margin", "shift", "counts"),
]
"""The columns of the labels that cells are made from."""
Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class Shifts:
    """What the user's words add to the log-odds of the answers that count, labelled or not."""

    rows: Numbers
    """(m,) positions among all answers of the evaluation set."""
    values: Floats
    """(m,) log-odds."""
    items: Numbers
    """(m,) item numbers, as in `Cell`."""


@dataclass(frozen=True)
class Cell:
    """The labelled answers of one family, source and split."""

    family: str
    source: str
    """`EVERY_SOURCE` where the cell pools all sources of its family."""
    split: str
    rows: Numbers
    """(n,) positions among all answers of the evaluation set."""
    labels: Labels
    """(n,)"""
    items: Numbers
    """(n,) item numbers, in the order of the names of all items of the evaluation set."""
    templates: Numbers
    """(n,) numbers of the prompts' templates."""
    shifts: Shifts
    """Empty where no shift is known."""
    invalid_share: float
    """Share of the cell's answers that have no label."""
    null_aurocs: dict[str, float]
    """AUROC of the letter of the sycophantic option, the prompt's length and the logit margin."""

    @property
    def both_classes(self) -> bool:
        """Whether there are sycophantic and other answers."""
        return len(set(self.labels.tolist())) == 2


def evaluation_cells(labels: pl.DataFrame) -> list[Cell]:
    """A cell for every family and split, and for each source of a family that has several.

    `labels` has `LABEL_COLUMNS`, a row an answer.
    """
    numbered = labels.with_columns(
        pl.col("item", "template").rank("dense") - 1, pl.col("shift").cast(pl.Float64)
    ).with_row_index("row")
    cells = []
    for family, split in numbered.select("family", "split").unique(maintain_order=True).rows():
        of_family = numbered.filter(pl.col("family") == family, pl.col("split") == split)
        sources = of_family["source"].unique(maintain_order=True).to_list()
        cells.append(_cell(family, EVERY_SOURCE, split, of_family))
        if len(sources) > 1:
            cells += [
                _cell(family, source, split, of_family.filter(pl.col("source") == source))
                for source in sources
            ]
    return cells


def _cell(family: str, source: str, split: str, answers: pl.DataFrame) -> Cell:
    labelled = answers.filter(pl.col("label").is_not_null())
    shifted = answers.filter("counts", pl.col("shift").is_finite())
    return Cell(
        family,
        source,
        split,
        rows=labelled["row"].to_numpy().astype(int),
        labels=labelled["label"].to_numpy().astype(int),
        items=labelled["item"].to_numpy().astype(int),
        templates=labelled["template"].to_numpy().astype(int),
        shifts=Shifts(
            rows=shifted["row"].to_numpy().astype(int),
            values=shifted["shift"].to_numpy(),
            items=shifted["item"].to_numpy().astype(int),
        ),
        invalid_share=1 - len(labelled) / len(answers),
        null_aurocs=_null_aurocs(labelled),
    )


def _null_aurocs(labelled: pl.DataFrame) -> dict[str, float]:
    """AUROCs of predictors that use no vector."""
    shows_letters = (labelled["form"] == "letters").to_numpy()
    place = labelled["matching"].str.to_integer(base=36, strict=False).fill_null(0).to_numpy()
    predictors = {
        "letter_auroc": np.where(shows_letters, -place, 0),  # a hidden letter predicts nothing
        "length_auroc": labelled["prompt_tokens"].to_numpy(),
        "margin_auroc": labelled["margin"].to_numpy(),
    }
    aurocs = auroc(np.stack([*predictors.values()]), labelled["label"].to_numpy().astype(int))
    known = dict(zip(predictors, aurocs.tolist(), strict=True))
    # An open answer, which is graded, has no margin.
    return known | ({"margin_auroc": math.nan} if labelled["margin"].null_count() else {})


def cell_columns(cell: Cell) -> dict[str, object]:
    """The columns of a table of cells that are the same for every read-out of a cell."""
    return {
        "n": len(cell.labels),
        "n_sycophantic": int(cell.labels.sum()),
        "n_items": len(set(cell.items.tolist())),
        "n_items_rarer_class": n_items_of_rarer_class(cell.labels, cell.items),
        "n_mixed_items": _n_mixed(cell, cell.items),
        "n_mixed_templates": _n_mixed(cell, cell.templates),
        "n_shifts": len(cell.shifts.rows),
        "n_shift_items": len(set(cell.shifts.items.tolist())),
        "invalid_share": cell.invalid_share,
        **cell.null_aurocs,
    }


def _n_mixed(cell: Cell, strata: Numbers) -> int:
    """The number of strata with answers of both classes."""
    return len(set(strata[informative_answers(cell.labels, strata)].tolist()))
