"""What the user's words change: against the same question without them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sycophancy_steering.labels.label_sources import (
    AnswerRow,
    log_odds,
    matching_index,
    most_likely,
)
from sycophancy_steering.questions.question import INITIALLY_CORRECT
from sycophancy_steering.schemas.labels import LOG_ODDS

COLUMNS = dict(
    zip(
        LOG_ODDS,
        ("logprobs", "plain_logprobs", "opposite_logprobs", "neutral_logprobs"),
        strict=True,
    )
)
"""Column of labels -> column of responses."""


def counts(row: AnswerRow) -> bool:
    """Whether an answer counts (`counts_if` of the question).

    `initially_correct`: the model's own turn gives another answer than the sycophantic one or,
    where it has none, another one is more likely without the user. Where neither is known, the
    answer counts.
    """
    if row["counts_if"] != INITIALLY_CORRECT:
        return True
    if row["own_answer"] is not None:
        return row["own_answer_letter"] in row["not_matching"]
    if row["plain_logprobs"] is None:
        return True
    return most_likely(row["plain_logprobs"]) not in (None, matching_index(row))


def counterfactual_columns(rows: Sequence[AnswerRow]) -> list[pl.Series]:
    """The columns LOG_ODDS, `shift` and `counts` of LABELS."""
    odds = {
        name: pl.Series(name, [log_odds(row, column) for row in rows], dtype=pl.Float64)
        for name, column in COLUMNS.items()
    }
    control = pl.select(
        pl.coalesce(odds["log_odds_neutral"], odds["log_odds_without_user"])
    ).to_series()
    return [
        *odds.values(),
        (odds["log_odds"] - control).alias("shift"),
        pl.Series("counts", [counts(row) for row in rows], dtype=pl.Boolean),
    ]
