"""States that are read a block at a time, as often as they are wanted.

What is made of them is gathered on the way, so that memory does not grow with their number: sums,
and sums of products about the mean (Chan, Golub and LeVeque 1979, for adding these up).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats

KEPT = 2 * 2**20
"""Bytes up to which what was read once stays in memory."""
BLOCK = 1024


class Stream:
    """Rows of width d_model, float64, in blocks that are the same each time."""

    def __init__(self, count: int, read: Callable[[], Iterator[Floats]]):
        """`read` gives `count` rows in blocks (n, d_model), anew each time it is called."""
        self.count = count
        self._read = read
        self._kept: list[Floats] | None = None

    @classmethod
    def of(cls, states: Floats) -> Stream:
        """Of what is in memory, (n, d_model)."""
        starts = range(0, len(states), BLOCK)
        return cls(len(states), lambda: (states[at : at + BLOCK] for at in starts))

    def __len__(self) -> int:
        return self.count

    def blocks(self) -> Iterator[Floats]:
        """All rows, in order."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Floats] = []
        size = 0
        for block in self._read():
            size += block.nbytes
            kept = [*kept, block] if size <= KEPT else []
            yield block
        if size <= KEPT:
            self._kept = kept

    def mapped(self, change: Callable[[Floats], Floats]) -> Stream:
        """The same number of rows, each block changed."""
        return Stream(self.count, lambda: map(change, self.blocks()))

    def rows(self, wanted: NDArray[np.integer]) -> Stream:
        """Those that stand at `wanted` (n,), which is in order."""

        def read() -> Iterator[Floats]:
            for at, block in self.placed():
                first, last = np.searchsorted(wanted, [at.start, at.stop])
                if last > first:
                    yield block[wanted[first:last] - at.start]

        return Stream(len(wanted), read)

    def minus(self, other: Stream) -> Stream:
        """Differences of rows; both have to be cut into the same blocks."""
        blocks = self.blocks, other.blocks
        return Stream(
            self.count,
            lambda: (a - b for a, b in zip(*(each() for each in blocks), strict=True)),
        )

    def all(self) -> Floats:
        """(n, d_model), in memory: for those who know that there are few."""
        return np.concatenate([*self.blocks()])

    @cached_property
    def mean(self) -> Floats:
        """(d_model,)"""
        return self.weighted(np.full((1, self.count), 1 / self.count))[0]

    @cached_property
    def variance(self) -> Floats:
        """(d_model,)"""
        squares = self.mapped(lambda block: (block - self.mean) ** 2)
        return squares.mean

    @cached_property
    def scatter(self) -> Floats:
        """(d_model, d_model): sum of products about the mean."""
        count, mean, total = 0, np.zeros(()), np.zeros(())
        for block in self.blocks():
            middle = block.mean(0)
            off = block - middle
            apart = middle - mean
            both = count + len(block)
            total = total + off.T @ off + np.outer(apart, apart) * (count * len(block) / both)
            count, mean = both, mean + apart * (len(block) / both)
        return total

    @property
    def covariance(self) -> Floats:
        """(d_model, d_model)"""
        return self.scatter / self.count

    def weighted(self, weights: Floats) -> Floats:
        """(k, d_model): sums of the rows with `weights` (k, n)."""
        total = np.zeros(())
        for at, block in self.placed():
            total = total + weights[:, at] @ block
        return total

    def along(self, direction: Floats) -> Floats:
        """(n,) products of the rows with `direction` (d_model,)."""
        return np.concatenate([block @ direction for block in self.blocks()])

    def placed(self) -> Iterator[tuple[slice, Floats]]:
        """Each block, and where it stands."""
        start = 0
        for block in self.blocks():
            yield slice(start, start + len(block)), block
            start += len(block)

    def medians(self) -> Floats:
        """(d_model,): coordinate by coordinate, as many at a time as may be in memory."""
        width = len(self.mean)
        size = max(1, KEPT // (8 * self.count))
        parts = [slice(at, at + size) for at in range(0, width, size)]
        columns = (np.concatenate([block[:, part] for block in self.blocks()]) for part in parts)
        return np.concatenate([np.median(each, axis=0) for each in columns])
