"""How many naturally labelled answers a vector needs."""

from __future__ import annotations

from sycophancy_steering.vectors.contrast import MethodNotApplicable

MIN_ANSWERS = 2
"""Of each class."""


def check_classes(n_sycophantic: int, n_other: int) -> None:
    """Raises MethodNotApplicable where a class has too few answers."""
    if min(n_sycophantic, n_other) < MIN_ANSWERS:
        raise MethodNotApplicable(
            f"{n_sycophantic} sycophantic and {n_other} other answers; expected at least "
            f"{MIN_ANSWERS} of each for a vector from naturally labelled answers"
        )
