"""What transcripts say, as text for a terminal and as flat numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sycophancy_steering.external.report_tables import estimate_text
from sycophancy_steering.external.transcripts import FamilyBehaviour
from sycophancy_steering.formatting.numbers import Range, p_text, range_text
from sycophancy_steering.report.templates import TableData, markdown_table

if TYPE_CHECKING:
    from sycophancy_steering.external.transcript_readouts import Readout


def behaviour_text(families: Sequence[FamilyBehaviour], are_binary: bool) -> str:
    """A row a family."""
    what = "sycophantic" if are_binary else "mean grade"
    header = ["family", "answers", "items", "without a label", f"{what} [95%, clustered by item]"]
    rows = [
        [one.family, one.n, one.n_items, one.n_unlabelled, estimate_text(one.rate.estimate)]
        for one in families
    ]
    return markdown_table(TableData(header, rows))


def behaviour_numbers(families: Sequence[FamilyBehaviour], are_binary: bool) -> dict[str, object]:
    """The same as JSON."""
    name = "rate" if are_binary else "mean_grade"
    return {
        "behaviour": [
            {
                "family": one.family,
                "n": one.n,
                "n_items": one.n_items,
                "n_unlabelled": one.n_unlabelled,
                **_numbers(one.rate.estimate.columns(name)),
            }
            for one in families
        ]
    }


def readout_text(readouts: Sequence[Readout], are_binary: bool) -> str:
    """A row a vector, position and layer; then what the interval and the p-value hold for."""
    what = "AUROC" if are_binary else "rank correlation"
    header = ["vector", "position", "layer", f"{what} [95%]", "random directions", "p, of all"]
    rows = [
        [
            *(one.vector, one.position, one.layer, estimate_text(one.estimate)),
            range_text(Range(one.random_low, one.random_high), 3),
            p_text(one.p),
        ]
        for one in readouts
    ]
    note = f"All {len(rows)} intervals hold together" if are_binary else "Each interval is its own"
    note += f"; p is that of the largest of all {len(rows)} read-outs."
    return f"{markdown_table(TableData(header, rows))}\n\n{note}"


def readout_numbers(readouts: Sequence[Readout]) -> list[dict[str, object]]:
    """The same as JSON."""
    return [
        {
            **{"vector": one.vector, "position": one.position, "layer": one.layer},
            **_numbers(one.estimate.columns("value")),
            **{"p": one.p, "random_low": one.random_low, "random_high": one.random_high},
        }
        for one in readouts
    ]


def _numbers(columns: dict[str, np.ndarray]) -> dict[str, object]:
    return {name: float(value) if np.isfinite(value) else None for name, value in columns.items()}
