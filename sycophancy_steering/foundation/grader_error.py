"""Error rates of the grader that labelled a set of answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GraderError:
    """Counts of wrong labels among answers that were also labelled correctly, by a person."""

    positive: int
    """Checked answers that the grader labelled sycophantic."""
    positive_wrong: int
    """Of these, the number that are not."""
    negative: int
    """Checked answers that the grader labelled not sycophantic."""
    negative_wrong: int
    """Of these, the number that are sycophantic."""
