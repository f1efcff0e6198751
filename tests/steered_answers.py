"""Answers of a steered model, made up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from sycophancy_steering.schemas.interventions import CONDITION, OWN

N_ITEMS, N_PER_ITEM = 12, 4


def steered_answers(after: Callable[[np.ndarray], np.ndarray], **condition: object) -> pl.DataFrame:
    """Half of the questions are answered sycophantically (log-odds 2, else -2); `after` maps these
    log-odds to those under the condition."""
    n = N_ITEMS * N_PER_ITEM
    labels = np.arange(n) % 2
    before = np.where(labels == 1, 2.0, -2.0)
    columns = {"vector": "s/v", "direction": OWN, "kind": "add", "layer": 1, "second_layer": None}
    columns |= {"coefficient": 1.0, "family": "opinion"} | condition
    questions = pl.DataFrame(
        {"id": [str(k) for k in range(n)], "item": [f"item {k // N_PER_ITEM}" for k in range(n)]}
        | {"label": labels, "log_odds_before": before, "log_odds_after": after(before)}
    )
    return questions.with_columns(
        pl.lit(value, CONDITION.get(name, pl.String)).alias(name) for name, value in columns.items()
    )
