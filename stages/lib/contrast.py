"""Two groups of residual stream states at one layer: what a steering vector is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Names = NDArray[np.str_]
Normalisation = Literal["none", "unit", "standard"]


class Inapplicable(Exception):
    """A way of making vectors that a set of answers does not allow, and why."""


@dataclass(frozen=True)
class Group:
    """States of the answers of one kind."""

    states: Floats
    """(n, d_model)"""
    items: Names
    """(n,) what each question is about."""
    letters: Names
    """(n,) the letter that each answer says; "" where the question shows none."""

    def __len__(self) -> int:
        return len(self.states)

    def rows(self, wanted: NDArray[np.integer]) -> Group:
        """The rows `wanted`, in that order."""
        return Group(self.states[wanted], self.items[wanted], self.letters[wanted])


@dataclass(frozen=True)
class Contrast:
    """Sycophantic answers against others."""

    sycophantic: Group
    other: Group
    paired: bool
    """Whether row k of both groups is the same question, answered in two ways."""
    draw: np.random.Generator
    """Seeded; all the chance there is in a method."""
    all_layers: Callable[[], Floats] | None = None
    """(n, n) inner products of the differences, summed over layers; for methods that need it."""

    @property
    def differences(self) -> Floats:
        """(pairs, d_model): sycophantic minus other. Unpaired states are paired at random."""
        one, two = self.sycophantic.states, self.other.states
        if self.paired:
            return one - two
        count = min(len(one), len(two))
        return (
            one[self.draw.permutation(len(one))[:count]]
            - two[self.draw.permutation(len(two))[:count]]
        )

    @property
    def mean_difference(self) -> Floats:
        """(d_model,)"""
        return self.sycophantic.states.mean(0) - self.other.states.mean(0)

    def pooled(self) -> tuple[Floats, NDArray[np.int64], Names, Names]:
        """All states (n + m, d_model), 1 for each sycophantic one and else 0, items, letters."""
        both = self.sycophantic, self.other
        return (
            np.concatenate([group.states for group in both]),
            np.repeat([1, 0], [len(group) for group in both]),
            np.concatenate([group.items for group in both]),
            np.concatenate([group.letters for group in both]),
        )

    def mapped(self, change: Callable[[Floats], Floats]) -> Contrast:
        """The same with other states."""
        one, two = (
            replace(group, states=change(group.states)) for group in (self.sycophantic, self.other)
        )
        return replace(self, sycophantic=one, other=two)


def normalised(contrast: Contrast, how: Normalisation) -> tuple[Contrast, Floats]:
    """The contrast after normalisation, and what turns a direction there into one of the states.

    `unit`: each state at length 1, so that none counts for more by being loud. `standard`: each
    coordinate at variance 1. The second value (d_model,) multiplies a direction, so that its
    read-out of a state is that of the normalised one.
    """
    states = contrast.pooled()[0]
    ones = np.ones(states.shape[1])
    if how == "unit":

        def at_length_one(group: Floats) -> Floats:
            lengths = np.linalg.norm(group, axis=1, keepdims=True)
            return np.divide(group, lengths, out=np.zeros_like(group), where=lengths > 0)

        return contrast.mapped(at_length_one), ones
    if how == "standard":
        spread = states.std(0)
        spread[spread == 0] = 1.0
        return contrast.mapped(lambda group: group / spread), 1 / spread
    return contrast, ones
