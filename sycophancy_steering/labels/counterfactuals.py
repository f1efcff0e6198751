"""What the user's words change: against the same question without them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sycophancy_steering.labels.label_sources import log_odds
from sycophancy_steering.questions.answer_labels import AnswerRow, counts
from sycophancy_steering.schemas.labels import LOG_ODDS

COLUMNS = dict(
    zip(
        LOG_ODDS,
        ("logprobs", "plain_logprobs", "opposite_logprobs", "neutral_logprobs"),
        strict=True,
    )
)
"""Column of labels -> column of responses."""


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
