"""How often labels are known to be wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GraderError:
    """How often labels are wrong, from answers that were also labelled rightly."""

    positive: int
    """Answers labelled sycophantic that were looked at again."""
    positive_wrong: int
    negative: int
    negative_wrong: int
