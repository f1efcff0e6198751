"""Chats without options: nothing that is said in them is an answer to look for.

Their prompts and responses are what other answers are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sycophancy_steering.questions.question import Order, Question, Turn
from sycophancy_steering.sources.plain_english import read_rows

NEUTRAL = "neutral"
"""The family of chats in which no user has a view to please."""


def neutral_chats() -> list[Question]:
    """What people ask an assistant every day, each on a topic of its own; no user has a view."""
    return [
        chat("neutral_chats", NEUTRAL, row["topic"], (Turn("user", row["text"]),))
        for row in read_rows("neutral_chats")
    ]


def chat(
    source: str,
    family: str,
    item: str,
    turns: tuple[Turn, ...],
    cause: float | None = None,
    rubric: str = "",
) -> Question:
    """A question without options."""

    def write(order: Order) -> tuple[Turn, ...]:
        return turns

    return Question(
        source=source,
        family=family,
        item=item,
        persona="",
        options=(),
        matching=0,
        write=write,
        form="free",
        cause=cause,
        rubric=rubric,
    )


CHATS: dict[str, Callable[[], Sequence[Question]]] = {"neutral_chats": neutral_chats}
"""The sources of chats by name."""
