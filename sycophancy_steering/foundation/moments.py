"""Count, mean and central moments of rows, instead of the rows.

Moments of two sets of rows give those of both together, so memory does not grow with the number of
rows (Chan, Golub and LeVeque 1983, https://doi.org/10.1080/00031305.1983.10483115). All sums are of
deviations from the mean, so that a large mean costs no digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sycophancy_steering.foundation.array_stream import ArrayStream, RowsNotKept
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.large_dimensions import massive_activations

MEAN, COVARIANCE, FOURTH = 1, 2, 4
"""Orders of moments: the mean and variance of each coordinate; the covariance too; and products of
squares too, which say how the lengths of the rows vary."""
ADDED = ("absolute_sum", "massive_count")
"""Fields that are sums about 0."""


@dataclass(frozen=True)
class Moments:
    """Of rows (count, d_model), in float64."""

    count: int
    mean: Floats
    """(d_model,)"""
    squares: Floats
    """(d_model,) sums of squared deviations from the mean."""
    absolute_sum: Floats
    """(d_model,) sums of absolute values."""
    massive_count: Floats
    """(d_model,) in how many rows each coordinate is massive (`massive_activations`)."""
    scatter: Floats | None = None
    """(d_model, d_model) sums of products of two coordinates' deviations, from order 2."""
    third: Floats | None = None
    """(d_model, d_model) sums of the first one's squared deviation times the second's, at order 4;
    for merging only."""
    fourth: Floats | None = None
    """(d_model, d_model) sums of products of two squared deviations, at order 4."""

    @classmethod
    def of_rows(cls, rows: Floats, order: int) -> Moments:
        """Of rows (n, d_model) in memory."""
        mean = rows.mean(0)
        centred = rows - mean
        squared = centred**2
        return cls(
            len(rows),
            mean,
            squared.sum(0),
            np.abs(rows).sum(0),
            massive_activations(rows).sum(0).astype(float),
            scatter=centred.T @ centred if order >= COVARIANCE else None,
            third=squared.T @ centred if order >= FOURTH else None,
            fourth=squared.T @ squared if order >= FOURTH else None,
        )

    def merge(self, other: Moments) -> Moments:
        """Of the rows of both, which have moments of the same order."""
        count = self.count + other.count
        mean = self.mean + (other.mean - self.mean) * (other.count / count)
        one, two = self._about(mean), other._about(mean)
        added = {name: getattr(self, name) + getattr(other, name) for name in ADDED}
        summed = {name: one[name] + two[name] for name in one}
        return Moments(count, mean, **added, **summed)

    def _about(self, mean: Floats) -> dict[str, Floats]:
        """The sums of products of deviations from another mean."""
        shift = self.mean - mean
        sums = {"squares": self.squares + self.count * shift**2}
        if self.scatter is None:
            return sums
        sums["scatter"] = self.scatter + self.count * np.outer(shift, shift)
        if self.third is None or self.fourth is None:
            return sums
        # Of (y + s)^2 (z + t) and (y + s)^2 (z + t)^2, without the terms whose sum is 0.
        by_first, by_second = self.squares[:, None], self.squares[None]
        first, second = shift[:, None], shift[None]
        sums["third"] = (
            self.third
            + second * by_first
            + 2 * first * self.scatter
            + self.count * first**2 * second
        )
        sums["fourth"] = (
            self.fourth
            + 2 * second * self.third
            + 2 * first * self.third.T
            + second**2 * by_first
            + first**2 * by_second
            + 4 * first * second * self.scatter
            + self.count * first**2 * second**2
        )
        return sums

    def scaled(self, factors: Floats) -> Moments:
        """Of the rows times `factors` (d_model,); which coordinates were massive stays."""
        squared = factors**2
        return Moments(
            self.count,
            self.mean * factors,
            self.squares * squared,
            self.absolute_sum * np.abs(factors),
            self.massive_count,
            None if self.scatter is None else self.scatter * np.outer(factors, factors),
            None if self.third is None else self.third * np.outer(squared, factors),
            None if self.fourth is None else self.fourth * np.outer(squared, squared),
        )


class MomentStream(ArrayStream):
    """Rows that are gone, of which moments are known; reading one raises RowsNotKept."""

    def __init__(self, moments: Moments):
        super().__init__(moments.count, self._no_rows)
        self.moments = moments

    def _no_rows(self) -> Iterator[Floats]:
        raise RowsNotKept("needs every activation, and only statistics of them are kept")

    def scaled(self, factors: Floats) -> MomentStream:
        """The rows times `factors` (d_model,)."""
        return MomentStream(self.moments.scaled(factors))

    @property
    def massive_counts(self) -> Floats:
        """(d_model,) in how many rows each coordinate is massive."""
        return self.moments.massive_count

    @cached_property
    def mean(self) -> Floats:
        """(d_model,)"""
        return self.moments.mean

    @cached_property
    def variance(self) -> Floats:
        """(d_model,) population variance."""
        return self.moments.squares / self.count

    @cached_property
    def magnitude(self) -> Floats:
        """(d_model,) mean absolute value."""
        return self.moments.absolute_sum / self.count

    @cached_property
    def scatter(self) -> Floats:
        """(d_model, d_model) sum of the rows' outer products about the mean."""
        if self.moments.scatter is None:
            raise RowsNotKept("needs the covariance, and only means are kept")
        return self.moments.scatter

    def fourth_moment_of_lengths(self, sd: Floats) -> float:
        """Mean fourth power of the rows' lengths about the mean, in units of `sd` (d_model,)."""
        if self.moments.fourth is None:
            raise RowsNotKept("needs fourth moments, and only means or covariances are kept")
        return float(sd**-2 @ self.moments.fourth @ sd**-2) / self.count
