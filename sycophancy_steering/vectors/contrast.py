"""Two groups of answers' activations at one layer: what a steering vector is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sycophancy_steering.config.variants import Normalisation
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.foundation.large_dimensions import large_dimensions
from sycophancy_steering.foundation.moments import MomentStream


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
    letter_means: Mapping[str, tuple[int, Floats]] | None = None
    """`means_by_letter` where rows are not kept."""

    def __len__(self) -> int:
        return len(self.activations)

    def means_by_letter(self) -> dict[str, tuple[int, Floats]]:
        """By letter: the number of answers with it, and their mean activation (d_model,)."""
        if self.letter_means is not None:
            return dict(self.letter_means)
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
    pair_differences: ArrayStream | None = None
    """(n_pairs, d_model) where rows are not kept, so that they cannot be subtracted."""

    @property
    def groups(self) -> tuple[AnswerGroup, AnswerGroup]:
        """Sycophantic answers, and others."""
        return self.sycophantic, self.other

    @property
    def differences(self) -> ArrayStream:
        """(n_pairs, d_model) sycophantic minus other; of pairs only."""
        assert self.paired
        if self.pair_differences is not None:
            return self.pair_differences
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
        means = [group.activations.magnitude for group in self.groups]
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

    @property
    def scatter(self) -> Floats:
        """(d_model, d_model) sum of all answers' outer products about their mean."""
        one, two = (group.activations.scatter for group in self.groups)
        between = len(self.sycophantic) * len(self.other) / len(self)
        return one + two + between * np.outer(self.mean_difference, self.mean_difference)

    @property
    def rows_are_kept(self) -> bool:
        """Whether there are activations, and not only statistics of them."""
        return not isinstance(self.sycophantic.activations, MomentStream)

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
        return self._map_streams(lambda stream: stream.map_blocks(function))

    def scaled(self, factors: Floats) -> Contrast:
        """The activations times `factors` (d_model,)."""
        return self._map_streams(lambda stream: stream.scaled(factors))

    def _map_streams(self, function: Callable[[ArrayStream], ArrayStream]) -> Contrast:
        sycophantic, other = (
            replace(group, activations=function(group.activations)) for group in self.groups
        )
        pairs = self.pair_differences
        return replace(
            self,
            sycophantic=sycophantic,
            other=other,
            pair_differences=None if pairs is None else function(pairs),
        )


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
        return contrast.scaled(1 / sd), 1 / sd
    if normalisation == "robust":
        mask = np.where(large_dimensions(contrast.magnitude), 0.0, 1.0)
        return contrast.scaled(mask), mask
    return contrast, ones
