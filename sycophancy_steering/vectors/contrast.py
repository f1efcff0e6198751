"""Two groups of answers' activations at one layer: what a steering vector is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sycophancy_steering.config.variants import Normalisation
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.vectors.large_dimensions import large_dimensions


class MethodNotApplicable(Exception):
    """Answers that a method cannot make a vector from; the message is the reason."""


@dataclass(frozen=True)
class AnswerGroup:
    """Activations of the answers of one class."""

    activations: ArrayStream
    """(n, d_model)"""
    items: Names
    """(n,) the item each question is about."""
    letters: Names
    """(n,) the letter of each answer; "" where the question shows none."""

    def __len__(self) -> int:
        return len(self.activations)

    def means_by_letter(self) -> dict[str, tuple[int, Floats]]:
        """By letter: the number of answers with it, and their mean activation (d_model,)."""
        letters, member = np.unique(self.letters, return_inverse=True)
        counts = np.bincount(member)
        weights = (member == np.arange(len(letters))[:, None]) / counts[:, None]
        means = self.activations.weighted_sums(weights)
        return {
            str(letter): (int(n), mean)
            for letter, n, mean in zip(letters, counts, means, strict=True)
        }


@dataclass(frozen=True)
class Contrast:
    """Sycophantic answers against others."""

    sycophantic: AnswerGroup
    other: AnswerGroup
    paired: bool
    """Whether row k of both groups is the same question, answered both ways."""
    rng: np.random.Generator
    """The only source of randomness of a method."""
    pair_weights: Callable[[], Floats] | None = None
    """(n_pairs,) `first_component_weights` of the differences of all layers side by side, computed
    only for methods that need it."""

    @property
    def groups(self) -> tuple[AnswerGroup, AnswerGroup]:
        """Sycophantic answers, and others."""
        return self.sycophantic, self.other

    @property
    def differences(self) -> ArrayStream:
        """(n_pairs, d_model) sycophantic minus other; of pairs only."""
        assert self.paired
        return self.sycophantic.activations.subtract(self.other.activations)

    @property
    def mean_difference(self) -> Floats:
        """(d_model,)"""
        return self.sycophantic.activations.mean - self.other.activations.mean

    @cached_property
    def mean(self) -> Floats:
        """(d_model,) over all answers."""
        means = np.stack([group.activations.mean for group in self.groups])
        return np.average(means, axis=0, weights=[*map(len, self.groups)])

    @cached_property
    def magnitude(self) -> Floats:
        """(d_model,) mean absolute activation over all answers."""
        means = [group.activations.map_blocks(np.abs).mean for group in self.groups]
        return np.average(means, axis=0, weights=[*map(len, self.groups)])

    @cached_property
    def standard_deviation(self) -> Floats:
        """(d_model,) over all answers; 1 where it would be 0."""
        mean = self.mean
        squares = [
            group.activations.variance + (group.activations.mean - mean) ** 2
            for group in self.groups
        ]
        sd = np.sqrt(np.average(squares, axis=0, weights=[*map(len, self.groups)]))
        sd[sd == 0] = 1.0
        return sd

    def __len__(self) -> int:
        return len(self.sycophantic) + len(self.other)

    def labelled_blocks(self) -> Iterator[tuple[slice, Floats, int]]:
        """All activations, sycophantic ones first, in blocks (rows, d_model) of one label.

        Each block comes between the slice of all rows that it holds and its label, 1 or 0.
        """
        for group, label in zip(self.groups, (1, 0), strict=True):
            start = 0 if label else len(self.sycophantic)
            for at, block in group.activations.indexed_blocks():
                yield slice(start + at.start, start + at.stop), block, label

    def map_activations(self, function: Callable[[Floats], Floats]) -> Contrast:
        """Applies `function` to each block of activations."""
        sycophantic, other = (
            replace(group, activations=group.activations.map_blocks(function))
            for group in self.groups
        )
        return replace(self, sycophantic=sycophantic, other=other)


def normalised(contrast: Contrast, normalisation: Normalisation) -> tuple[Contrast, Floats]:
    """The contrast of normalised activations, and the factors (d_model,) that undo it.

    `unit` scales each activation to length 1, so that long ones do not dominate. `standard` scales
    each coordinate to variance 1; a direction times the factors has the same projection on
    activations as the direction itself on normalised ones. `robust` leaves out the coordinates
    that are far larger than the others (`large_dimensions`), so that no vector is about them alone.
    """
    ones = np.ones(len(contrast.sycophantic.activations.mean))
    if normalisation == "unit":

        def to_unit_length(block: Floats) -> Floats:
            lengths = np.linalg.norm(block, axis=1, keepdims=True)
            return np.divide(block, lengths, out=np.zeros_like(block), where=lengths > 0)

        return contrast.map_activations(to_unit_length), ones
    if normalisation == "standard":
        sd = contrast.standard_deviation
        return contrast.map_activations(lambda block: block / sd), 1 / sd
    if normalisation == "robust":
        mask = np.where(large_dimensions(contrast.magnitude), 0.0, 1.0)
        return contrast.map_activations(lambda block: block * mask), mask
    return contrast, ones
