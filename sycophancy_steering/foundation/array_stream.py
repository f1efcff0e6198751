"""Rows of an array that may not fit in memory, read block by block as often as needed.

Means, weighted sums and the covariance are accumulated over the blocks, so memory does not grow
with the number of rows. The covariance is that of Chan, Golub and LeVeque (1979): sums of products
about each block's mean, combined pairwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.large_dimensions import massive_activations

CACHE_BYTES = 2 * 2**20
"""A stream of at most this size stays in memory after its first pass."""
BLOCK_ROWS = 1024


class RowsNotKept(Exception):
    """Rows are read of which only moments are kept; the message continues the reader's name."""


class ArrayStream:
    """(n, d_model) float64 rows, in the same blocks on every pass."""

    def __init__(self, count: int, read: Callable[[], Iterator[Floats]]):
        """`read` yields `count` rows in blocks (rows, d_model), from the first on each call."""
        self.count = count
        self._read = read
        self._cached: list[Floats] | None = None

    @classmethod
    def from_array(cls, rows: Floats) -> ArrayStream:
        """Streams an array (n, d_model)."""
        starts = range(0, len(rows), BLOCK_ROWS)
        return cls(len(rows), lambda: (rows[start : start + BLOCK_ROWS] for start in starts))

    def __len__(self) -> int:
        return self.count

    def blocks(self) -> Iterator[Floats]:
        """All rows in order."""
        if self._cached is not None:
            yield from self._cached
            return
        cached: list[Floats] = []
        size = 0
        for block in self._read():
            size += block.nbytes
            cached = [*cached, block] if size <= CACHE_BYTES else []
            yield block
        if size <= CACHE_BYTES:
            self._cached = cached

    def indexed_blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Each block after the slice of rows that it holds."""
        start = 0
        for block in self.blocks():
            yield slice(start, start + len(block)), block
            start += len(block)

    def map_blocks(self, function: Callable[[Floats], Floats]) -> ArrayStream:
        """Applies `function`, which keeps the number of rows, to each block."""
        return ArrayStream(self.count, lambda: map(function, self.blocks()))

    def scaled(self, factors: Floats) -> ArrayStream:
        """The rows times `factors` (d_model,)."""
        return self.map_blocks(lambda block: block * factors)

    def select_rows(self, indices: NDArray[np.integer]) -> ArrayStream:
        """The rows at `indices` (n,), which are sorted and may repeat."""

        def read() -> Iterator[Floats]:
            for at, block in self.indexed_blocks():
                first, last = np.searchsorted(indices, [at.start, at.stop])
                if last > first:
                    yield block[indices[first:last] - at.start]

        return ArrayStream(len(indices), read)

    def subtract(self, other: ArrayStream) -> ArrayStream:
        """Row-wise differences; `other` has the same blocks."""
        return ArrayStream(
            self.count,
            lambda: (a - b for a, b in zip(self.blocks(), other.blocks(), strict=True)),
        )

    def to_array(self) -> Floats:
        """(n, d_model) in memory, for streams known to be short."""
        return np.concatenate([*self.blocks()])

    @cached_property
    def mean(self) -> Floats:
        """(d_model,)"""
        return self.weighted_sums(np.full((1, self.count), 1 / self.count))[0]

    @cached_property
    def variance(self) -> Floats:
        """(d_model,) population variance."""
        return self.map_blocks(lambda block: (block - self.mean) ** 2).mean

    @cached_property
    def magnitude(self) -> Floats:
        """(d_model,) mean absolute value."""
        return self.map_blocks(np.abs).mean

    @property
    def massive_counts(self) -> Floats:
        """(d_model,) in how many rows each coordinate is massive (`massive_activations`)."""
        counts = [massive_activations(block).sum(0) for block in self.blocks()]
        return np.sum(counts, axis=0)

    def fourth_moment_of_lengths(self, sd: Floats) -> float:
        """Mean fourth power of the rows' lengths about the mean, in units of `sd` (d_model,)."""
        lengths = self.map_blocks(
            lambda block: (((block - self.mean) / sd) ** 2).sum(1, keepdims=True)
        )
        return sum(float((block**2).sum()) for block in lengths.blocks()) / self.count

    @cached_property
    def scatter(self) -> Floats:
        """(d_model, d_model) sum of the rows' outer products about the mean."""
        count, mean, total = 0, np.zeros(()), np.zeros(())
        for block in self.blocks():
            block_mean = block.mean(0)
            centred = block - block_mean
            shift = block_mean - mean
            new_count = count + len(block)
            between = np.outer(shift, shift) * (count * len(block) / new_count)
            total = total + centred.T @ centred + between
            count, mean = new_count, mean + shift * (len(block) / new_count)
        return total

    @property
    def covariance(self) -> Floats:
        """(d_model, d_model) population covariance."""
        return self.scatter / self.count

    def weighted_sums(self, weights: Floats) -> Floats:
        """(k, d_model): `weights` (k, n) times the rows."""
        total = np.zeros(())
        for at, block in self.indexed_blocks():
            total = total + weights[:, at] @ block
        return total

    def dot(self, direction: Floats) -> Floats:
        """(n,) dot products of the rows with `direction` (d_model,)."""
        return np.concatenate([block @ direction for block in self.blocks()])

    def median(self) -> Floats:
        """(d_model,) median of each coordinate, as many coordinates a pass as fit in memory."""
        width = len(self.mean)
        size = max(1, CACHE_BYTES // (8 * self.count))
        parts = [slice(start, start + size) for start in range(0, width, size)]
        columns = (np.concatenate([block[:, part] for block in self.blocks()]) for part in parts)
        return np.concatenate([np.median(column, axis=0) for column in columns])
