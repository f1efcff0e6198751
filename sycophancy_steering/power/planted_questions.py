"""Which questions of a random study have a direction planted in their activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Labels, Names


@dataclass(frozen=True)
class Questions:
    """Questions of one kind and one use: to make vectors from, to select by, or to test on."""

    family: str
    """"all" for the questions of a whole prompt set."""
    prompt_set: str
    """Whose activations they have."""
    rows: NDArray[np.integer]
    """(n,) their rows in it."""
    items: Names
    """(n,)"""
    labels: Labels | None
    """(n,) the model's own labels, whose number in each item is kept; None: half are planted."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_planted(self) -> int:
        """How many will be planted."""
        return len(self) // 2 if self.labels is None else int(self.labels.sum())

    @property
    def has_both_classes(self) -> bool:
        """Whether some will be planted, and others not."""
        return 0 < self.n_planted < len(self)

    def draw_planted(self, rng: np.random.Generator) -> Labels:
        """(n,) 1 for a question that the direction is planted in, 0 for another."""
        if self.labels is None:
            return random_half(len(self), rng)
        return shuffled_over_items(self.labels, self.items, rng)


def random_half(count: int, rng: np.random.Generator) -> Labels:
    """(count,) 1 for half of the questions, 0 for the others; one more of these if odd."""
    planted = np.zeros(count, int)
    planted[rng.permutation(count)[: count // 2]] = 1
    return planted


def shuffled_over_items(labels: Labels, items: Names, rng: np.random.Generator) -> Labels:
    """The labels (n,) in a random order that keeps those of an item together.

    Items exchange their labels, which are then shuffled within each: their number is that of the
    study, and they are as clustered, but which question has which is chance. (Where items have
    different numbers of questions, labels of one may come to lie in two.)
    """
    names = np.unique(items)
    rows_of = {name: np.flatnonzero(items == name) for name in names}
    sources = np.concatenate([rows_of[name] for name in rng.permutation(names)])
    targets = np.concatenate([rows_of[name] for name in rng.permutation(names)])
    shuffled = np.empty_like(labels)
    shuffled[targets] = labels[sources]
    for rows in rows_of.values():
        shuffled[rows] = rng.permutation(shuffled[rows])
    return shuffled
