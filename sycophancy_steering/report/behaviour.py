"""What a model does: the first section of its part, and reports/behaviour.json."""

from __future__ import annotations

from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of
from sycophancy_steering.report.templates import Section
from sycophancy_steering.schemas.labels import NEUTRAL_TURN
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

HEADLINE_NUMBERS = (
    *("n", "items", "rate", "rate_low", "rate_high", "control_rate"),
    *("shift", "shift_low", "shift_high", "sycophantic"),
)
"""Of each family in reports/behaviour.json, where they are known; `items` is `n_items`."""
LETTER_BIAS = 0.8
"""From this share of one letter on, a model answers by letter, not by content: the letters are in
balance over the questions."""
CONTROLS = {NEUTRAL_TURN: "after a neutral turn", None: "without the user"}


def behaviour_section(model: str, behaviour: pl.DataFrame) -> Section:
    """What the user's words do to a model's answers, family by family (the table BEHAVIOUR)."""
    families = [
        {
            **row,
            "rate": interval_of(row, "rate"),
            "control": CONTROLS.get(row["control"], CONTROLS[None]),
            "control_rate": interval_of(row, "control_rate"),
            "opposite_rate": interval_of(row, "opposite_rate"),
            "turned_rate": interval_of(row, "turned_rate"),
            "shift": interval_of(row, "shift"),
            "answers_by_letter": (row["commonest_letter_share"] or 0) >= LETTER_BIAS,
        }
        for row in behaviour.filter(pl.col("source") == EVERY_SOURCE).iter_rows(named=True)
    ]
    return Section("behaviour", {"model": model, "families": families})


def headline_behaviour(behaviour: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """A model's part of reports/behaviour.json, by family."""
    pooled = behaviour.filter(pl.col("source") == EVERY_SOURCE)
    return {
        row["family"]: {
            name: value
            for name in HEADLINE_NUMBERS
            if (value := row["n_items" if name == "items" else name]) is not None
            and value == value  # no NaN: an interval of a single item has no bounds
        }
        for row in pooled.iter_rows(named=True)
    }
