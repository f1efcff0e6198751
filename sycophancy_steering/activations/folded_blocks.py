"""Where each question is stored, in little memory for those that are folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np


class FoldedBlocks(dict[str, Path]):
    """Key of a question -> its block; the keys of the first windows have no entries of their own.

    An entry takes some 100 bytes; without, a key takes 12.
    """

    def __init__(
        self,
        blocks: Mapping[str, Path],
        windows: Sequence[Sequence[str]],
        block_of: Callable[[int], Path],
    ):
        """`blocks` of all questions; `block_of` returns that of a folded window."""
        super().__init__(blocks)
        self.n_folded = 0
        self._block_of = block_of
        numbers = np.concatenate([_numbers(window) for window in windows])
        order = np.argsort(numbers)
        self._sorted = numbers[order]
        sizes = [len(window) for window in windows]
        self._windows = np.repeat(np.arange(len(windows), dtype=np.int32), sizes)[order]

    def fold(self, keys: Sequence[str]) -> None:
        """Counts the next window, which has `keys`, as folded."""
        self.n_folded += 1
        for key in keys:
            self.pop(key, None)

    def _window(self, key: str) -> int | None:
        """The folded window that has a key."""
        number = int(key, 16)
        place = int(np.searchsorted(self._sorted, np.uint64(number)))
        if place == len(self._sorted) or int(self._sorted[place]) != number:
            return None
        window = int(self._windows[place])
        return window if window < self.n_folded else None

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (isinstance(key, str) and self._window(key) is not None)

    def __missing__(self, key: str) -> Path:
        window = self._window(key)
        if window is None:
            raise KeyError(key)
        return self._block_of(window)


def _numbers(keys: Sequence[str]) -> np.ndarray:
    """(n,) keys of 16 hexadecimal digits as numbers."""
    return np.array([int(key, 16) for key in keys], dtype=np.uint64)
