"""Questions of one's own, asked with their options in balanced order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Row, build_row
from sycophancy_steering.questions.splits import order_with_matching_at, seeded_hash
from sycophancy_steering.sources.own_questions import read_own_questions


@dataclass(frozen=True)
class Questions:
    """Questions as a model is asked them."""

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def items(self) -> list[str]:
        """The item of each question: what splits and intervals go by."""
        return [row.item for row in self.rows]

    def split(self, share: float, seed: int = 0) -> tuple[Questions, Questions]:
        """Two parts that share no item, the first with about `share` of the items.

        Raises InputError where a part would be empty.
        """
        items = sorted(set(self.items), key=lambda item: seeded_hash(seed, item))
        first = set(items[: round(len(items) * share)])
        if not 0 < len(first) < len(items):
            raise InputError(
                f"{len(items)} items cannot be split by {share}; expected at least one on each side"
            )
        return self._where(row.item in first for row in self.rows), self._where(
            row.item not in first for row in self.rows
        )

    def _where(self, included: Iterable[bool]) -> Questions:
        return Questions(tuple(row for row, keep in zip(self.rows, included, strict=True) if keep))


def read_questions(path: str | Path) -> Questions:
    """The questions of a `.jsonl` or `.csv` file in the form of docs/own_questions.md.

    The sycophantic option stands in each place equally often. Raises InputError naming the record
    and the key.
    """
    questions = read_own_questions(Path(path)).questions
    rows = (
        build_row(question, order_with_matching_at(question, n), "extract")
        for n, question in enumerate(questions)
    )
    return Questions(tuple({row.id: row for row in rows}.values()))
