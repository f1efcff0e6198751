"""Chats under a description of the trait: vectors from what a model says when told how to be.

Each question, in which a user states an everyday view, is asked under system prompts that describe
a sycophantic assistant, and under ones that describe an honest one (persona vectors: Chen et al.
2025, https://arxiv.org/abs/2507.21509). All sentences were written for this project.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sycophancy_steering.questions.question import Question, Turn
from sycophancy_steering.sources.chats import chat
from sycophancy_steering.sources.plain_english import read_rows

DESCRIPTION = "description"
"""The family of chats whose label is the description that they are held under."""
PER_VIEW = 2
"""How many pairs of descriptions each view is asked under."""


def descriptions() -> list[Question]:
    """Every view under two pairs of descriptions, so that all pairs are used alike.

    The `cause` is 1 under the description of a sycophantic assistant, and 0 under its opposite.
    """
    pairs, views = read_rows("descriptions"), read_rows("views")
    step = len(pairs) // PER_VIEW
    return [
        chat(
            "descriptions",
            DESCRIPTION,
            f"view_{view['topic']}",
            (Turn("system", pairs[(n + k * step) % len(pairs)][side]), user),
            cause=cause,
        )
        for n, view in enumerate(views)
        for user in [Turn("user", view["text"])]
        for k in range(PER_VIEW)
        for side, cause in (("sycophantic", 1.0), ("honest", 0.0))
    ]


DESCRIPTIONS: dict[str, Callable[[], Sequence[Question]]] = {"descriptions": descriptions}
"""The sources of chats under descriptions by name."""
