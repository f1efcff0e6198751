"""How sources of labels compare, and what they say beside the label: letter and margin.

The sources that need no grades are in `questions/answer_labels.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl

from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.questions.answer_labels import AnswerRow, matching_index, most_likely
from sycophancy_steering.schemas.labels import SOURCE_AGREEMENT
from sycophancy_steering.statistics.grader_agreement import cohen_kappa

GRADED_SOURCES = ("hand", "judge")
"""Label sources that need grades (see `grades.py`)."""


def answered_letter(row: AnswerRow, source: str) -> str | None:
    """The letter answered: that of the continuation or, for likelihoods, the most likely one."""
    if source in ("continuation", *GRADED_SOURCES):
        return row["answer"]
    logprobs = row["any_logprobs" if source == "wording" else "logprobs"]
    place = most_likely(logprobs) if logprobs else None
    return None if place is None else row["choices"][place]["letter"]


def judge_error(judged: pl.Series, by_hand: pl.Series) -> GraderError | None:
    """How often a judge's labels differ from hand grades; None where no answer has both."""
    both = judged.is_not_null() & by_hand.is_not_null()
    if not both.any():
        return None
    judged, by_hand = judged.filter(both), by_hand.filter(both)
    positive = judged == 1
    return GraderError(
        positive=int(positive.sum()),
        positive_wrong=int((positive & (by_hand == 0)).sum()),
        negative=int((~positive).sum()),
        negative_wrong=int((~positive & (by_hand == 1)).sum()),
    )


def margin(row: AnswerRow) -> float | None:
    """Log-probability of the sycophantic answer minus that of the most likely other one.

    None in a prompt set with `extract: forced_answers`.
    """
    return log_odds(row, "any_logprobs" if row["any_logprobs"] else "logprobs")


def log_odds(row: AnswerRow, column: str = "logprobs") -> float | None:
    """Log-odds of the sycophantic answer against the most likely other one, in a column."""
    logprobs = row[column]
    if not logprobs:
        return None
    place = matching_index(row)
    return logprobs[place] - max(logprobs[:place] + logprobs[place + 1 :])


def kappa(one: Sequence[object], other: Sequence[object]) -> float:
    """Cohen's kappa (1960, https://doi.org/10.1177/001316446002000104) of two lists of grades.

    NaN where both give one and the same grade throughout.
    """
    grades = sorted({*one, *other}, key=str)
    first, second = (np.array([float(grades.index(g)) for g in part]) for part in (one, other))
    return float(cohen_kappa(first, second, np.arange(len(one))).value)


def source_agreement(labels: pl.DataFrame, sources: Sequence[str]) -> pl.DataFrame:
    """The table SOURCE_AGREEMENT: a row for every two sources that label the same answers."""
    rows = []
    for one, other in combinations(sources, 2):
        both = labels.filter(pl.col(one).is_not_null() & pl.col(other).is_not_null())
        if len(both):
            rows.append(
                {
                    "one": one,
                    "other": other,
                    "n": len(both),
                    "n_differ": int((both[one] != both[other]).sum()),
                    "kappa": kappa(both[one].to_list(), both[other].to_list()),
                }
            )
    return pl.DataFrame(rows, schema=dict(SOURCE_AGREEMENT.columns))
