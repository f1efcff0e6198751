"""Matched natural pairs: items in which a model gave in to some wordings and held to others.

Questions differ in how readily a model gives in, so a difference between all sycophantic and all
other answers holds what their questions are about. Between two answers about one item it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.vectors.contrast import MethodNotApplicable

Rows = NDArray[np.integer]
MIN_ITEMS = 4
"""With fewer, a vector is about the words of two or three questions."""


@dataclass(frozen=True)
class MatchedItems:
    """Items that have answers of both kinds, each with the rows of its answers."""

    names: Names
    """(n_items,); an item that was sampled several times is named as often."""
    answers: list[tuple[Rows, Rows]]
    """Of each item, the rows of its sycophantic and of its other answers."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """The sorted rows of all sycophantic and of all other answers."""
        sycophantic, other = zip(*self.answers, strict=True)
        return np.sort(np.concatenate(sycophantic)), np.sort(np.concatenate(other))

    def select(self, indices: Rows) -> MatchedItems:
        """The items at `indices`."""
        return MatchedItems(self.names[indices], [self.answers[n] for n in indices])

    def weights(self, n_answers: int) -> tuple[Floats, Floats]:
        """(n_items, n_answers) each: times the activations of all answers, these are the means of
        every item's sycophantic and of its other answers."""
        both = np.zeros((2, len(self), n_answers))
        for n, groups in enumerate(self.answers):
            for weights, rows in zip(both, groups, strict=True):
                weights[n, rows] = 1 / len(rows)
        return both[0], both[1]


def match_items(
    items: Names, sycophantic: Rows, other: Rows, min_items: int = MIN_ITEMS
) -> MatchedItems:
    """The items (of `items`, (n,)) that have rows among `sycophantic` and among `other`.

    Every item counts once, however many answers it has: those of one item share its quirks. Where
    rows repeat, as in a bootstrap sample of items, the item counts as often. Raises
    MethodNotApplicable where fewer than `min_items` different items have both.
    """
    groups = [_rows_by_item(items, rows) for rows in (sycophantic, other)]
    names = [name for name in groups[0] if name in groups[1]]
    if len(names) < min_items:
        raise MethodNotApplicable(
            f"{len(names)} items have both sycophantic and other answers; expected at least "
            f"{min_items} to compare answers within items (see questions_per_item)"
        )
    sampled = [name for name in names for _ in range(_repeats(groups[0][name]))]
    one, two = groups
    return MatchedItems(
        np.array(sampled), [(np.unique(one[name]), np.unique(two[name])) for name in sampled]
    )


def _rows_by_item(items: Names, rows: Rows) -> dict[str, Rows]:
    of_rows = items[rows]
    return {str(name): rows[of_rows == name] for name in np.unique(of_rows)}


def _repeats(rows: Rows) -> int:
    """How often an item was sampled whose `rows` were taken over each time."""
    return int((rows == rows[0]).sum())
