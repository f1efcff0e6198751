"""Cells of an evaluation: the answers of one family (or source within it) and split, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.statistics.discrimination import auroc, items_of_rarer
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

READ = ["id", "source", "family", "item", "split", "label", "form", "matching", "prompt_tokens"]
READ += ["margin"]
"""Of an answer's labels."""


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
    items: NDArray[np.integer]
    """(n,) their numbers, in the order of the names of all items of the evaluation."""
    invalid_share: float
    """Of this cell's answers, those without a label."""
    nulls: dict[str, float]
    """AUROC of the letter of the sycophantic option, of the prompt's length, of the margin."""

    @property
    def labelled(self) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """`rows` and `labels`."""
        return self.rows, self.labels


def cells(responses: pl.DataFrame) -> list[Cell]:
    """Every family and split, and each source of a family that has several."""
    found = []
    numbered = responses.select(
        "family",
        "split",
        "source",
        "label",
        "form",
        "matching",
        "prompt_tokens",
        "margin",
        item=pl.col("item").rank("dense") - 1,
    ).with_row_index("row")
    for family, split in numbered.select("family", "split").unique(maintain_order=True).rows():
        held = numbered.filter(pl.col("family") == family, pl.col("split") == split)
        sources = held["source"].unique(maintain_order=True).to_list()
        for source in [EVERY_SOURCE, *(sources if len(sources) > 1 else [])]:
            part = held if source == EVERY_SOURCE else held.filter(pl.col("source") == source)
            answered = part.filter(pl.col("label").is_not_null())
            found.append(
                Cell(
                    family,
                    source,
                    split,
                    rows=answered["row"].to_numpy().astype(int),
                    labels=answered["label"].to_numpy().astype(int),
                    items=answered["item"].to_numpy().astype(int),
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
