"""Two groups of residual stream states at one layer: what a steering vector is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats

Names = NDArray[np.str_]
Normalisation = Literal["none", "unit", "standard"]


class MethodNotApplicable(Exception):
    """A way of making vectors that a set of answers does not allow, and why."""


@dataclass(frozen=True)
class AnswerGroup:
    """States of the answers of one kind."""

    activations: ArrayStream
    """(n, d_model)"""
    items: Names
    """(n,) what each question is about."""
    letters: Names
    """(n,) the letter that each answer says; "" where the question shows none."""

    def __len__(self) -> int:
        return len(self.activations)

    def means_by_letter(self) -> dict[str, tuple[int, Floats]]:
        """Of the answers that say each letter: how many, and their mean (d_model,)."""
        names, member = np.unique(self.letters, return_inverse=True)
        counts = np.bincount(member)
        means = self.activations.weighted_sums(
            (member == np.arange(len(names))[:, None]) / counts[:, None]
        )
        return {
            str(name): (int(n), mean) for name, n, mean in zip(names, counts, means, strict=True)
        }


@dataclass(frozen=True)
class Contrast:
    """Sycophantic answers against others."""

    sycophantic: AnswerGroup
    other: AnswerGroup
    paired: bool
    """Whether row k of both groups is the same question, answered in two ways."""
    rng: np.random.Generator
    """Seeded; all the chance there is in a method."""
    pair_weights: Callable[[], Floats] | None = None
    """(pairs,) `first_component` of the differences at all layers side by side; for methods that
    need it."""

    @property
    def groups(self) -> tuple[AnswerGroup, AnswerGroup]:
        """Sycophantic answers, and others."""
        return self.sycophantic, self.other

    @property
    def differences(self) -> ArrayStream:
        """(pairs, d_model): sycophantic minus other. Of pairs only."""
        assert self.paired
        return self.sycophantic.activations.subtract(self.other.activations)

    @property
    def mean_difference(self) -> Floats:
        """(d_model,)"""
        return self.sycophantic.activations.mean - self.other.activations.mean

    @cached_property
    def mean(self) -> Floats:
        """(d_model,) of all states."""
        means = np.stack([each.activations.mean for each in self.groups])
        return np.average(means, axis=0, weights=[*map(len, self.groups)])

    @cached_property
    def standard_deviation(self) -> Floats:
        """(d_model,) standard deviation of all states, 1 where there is none."""
        mean = self.mean
        squares = [
            each.activations.variance + (each.activations.mean - mean) ** 2 for each in self.groups
        ]
        found = np.sqrt(np.average(squares, axis=0, weights=[*map(len, self.groups)]))
        found[found == 0] = 1.0
        return found

    def __len__(self) -> int:
        return len(self.sycophantic) + len(self.other)

    def labelled_blocks(self) -> Iterator[tuple[slice, Floats, int]]:
        """All states in blocks: where they stand among all, sycophantic ones first, the states, and
        1 for sycophantic ones, else 0."""
        for group, label in zip(self.groups, (1, 0), strict=True):
            start = 0 if label else len(self.sycophantic)
            for at, block in group.activations.indexed_blocks():
                yield slice(start + at.start, start + at.stop), block, label

    def map_activations(self, function: Callable[[Floats], Floats]) -> Contrast:
        """The same with other states."""
        one, two = (
            replace(group, activations=group.activations.map_blocks(function))
            for group in self.groups
        )
        return replace(self, sycophantic=one, other=two)


def normalised(contrast: Contrast, normalisation: Normalisation) -> tuple[Contrast, Floats]:
    """The contrast after normalisation, and what turns a direction there into one of the states.

    `unit`: each state at length 1, so that none counts for more by being loud. `standard`: each
    coordinate at variance 1. The second value (d_model,) multiplies a direction, so that its
    read-out of a state is that of the normalised one.
    """
    ones = np.ones(len(contrast.sycophantic.activations.mean))
    if normalisation == "unit":

        def at_length_one(group: Floats) -> Floats:
            lengths = np.linalg.norm(group, axis=1, keepdims=True)
            return np.divide(group, lengths, out=np.zeros_like(group), where=lengths > 0)

        return contrast.map_activations(at_length_one), ones
    if normalisation == "standard":
        spread = contrast.standard_deviation
        return contrast.map_activations(lambda group: group / spread), 1 / spread
    return contrast, ones
