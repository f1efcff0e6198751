"""Folds activations into statistics while a prompt set is run, so that disk use stays flat.

Questions are folded in the order in which they are run, a window at a time, once all answers of the
window are stored; then its activations are deleted and its responses kept. So the order in which
batches end changes no byte. The statistics of so many windows are a folder that is there as a whole
or not at all: a run that is killed at any moment folds no window twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sycophancy_steering.activations.folded_blocks import FoldedBlocks
from sycophancy_steering.config.kept_statistics import ORDERS
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.moments import COVARIANCE, FOURTH, MEAN, Moments
from sycophancy_steering.schemas.activations import CHAT_POSITIONS, KEY, RESPONSES, STATISTICS
from sycophancy_steering.storage.activation_shards import ShardLayer, shard_positions
from sycophancy_steering.storage.activation_statistics import (
    ANSWER,
    DIFFERENCE,
    MATCHING,
    NOT_MATCHING,
    StatisticsIndex,
    moments_path,
    read_index,
    read_moments,
    write_index,
    write_moments,
)
from sycophancy_steering.storage.activation_store import ACTIVATIONS_FILE, ActivationStore

ROWS_PER_MATRIX_ROW = 8
"""Questions that are folded at once, for each row of a group's matrices: with fewer, more bytes of
statistics would be read and written than of activations."""
MATRICES = {MEAN: 0, COVARIANCE: 1, FOURTH: 3}


@dataclass(frozen=True)
class FoldedAnswer:
    """What decides which groups the activations of one question belong to."""

    id: str
    group: str
    """`label_group` of the answer."""
    matching: str
    """The letter of the sycophantic answer, "" where the question shows none."""
    not_matching: str
    """The letter of the first other answer, or ""."""


class Folding:
    """The statistics of one prompt set, as far as it was run."""

    def __init__(
        self,
        store: ActivationStore,
        windows: Sequence[Sequence[str]],
        index: StatisticsIndex,
        answers: Callable[[Sequence[int]], Iterable[Sequence[FoldedAnswer]]],
    ):
        """`windows` are keys of questions in the order in which they are folded; `index` is that of
        no window; `answers` returns those of windows, whose responses are stored."""
        self.store, self.windows, self.index, self.answers = store, windows, index, answers
        self._gathered: list[Path] = []
        """Blocks of one window each, which come next."""
        self.folder: Path | None = None
        """The latest statistics; None before any."""
        for folder in sorted(store.folder.glob("statistics-*")):
            if self.folder:
                shutil.rmtree(self.folder)
            self.folder = folder
        if self.folder:
            self.index = read_index(self.folder / STATISTICS)
        self.blocks = FoldedBlocks(store.blocks, windows, self.responses_of)
        store.blocks = self.blocks
        for number in range(self.index.n_windows):
            self.blocks.fold(windows[number])
        used = {*self.blocks.values()}
        for responses in store.folder.glob("[!.]*/" + RESPONSES):
            if responses.parent not in used:  # folded or gathered before a kill
                shutil.rmtree(responses.parent)

    @property
    def windows_at_once(self) -> int:
        """How many windows are folded together."""
        rows = ROWS_PER_MATRIX_ROW * self.index.origin.d_model * MATRICES[self._order]
        return max(1, -(-rows // max(map(len, self.windows))))

    @property
    def _order(self) -> int:
        return ORDERS[self.index.moments]

    def statistics_of(self, n_windows: int) -> Path:
        """The folder of the statistics of so many windows."""
        return self.store.folder / f"statistics-{n_windows:06d}"

    def responses_of(self, window: int) -> Path:
        """The block without activations of a folded window."""
        return self.store.folder / "folded" / f"window-{window:06d}"

    def fold_complete(self) -> None:
        """Folds the next windows, as far as all their answers are stored."""
        while (number := self.index.n_windows + len(self._gathered)) < len(self.windows):
            keys = self.windows[number]
            if any(key not in self.blocks for key in keys):
                return
            self._gathered.append(self._gather(keys))
            if len(self._gathered) == self.windows_at_once or number == len(self.windows) - 1:
                self._fold()

    def _gather(self, keys: Sequence[str]) -> Path:
        """The block of a window; deletes those that no other window needs."""
        sources = dict.fromkeys(self.blocks[key] for key in keys)
        block = self.store.shard(keys)
        self.blocks |= dict.fromkeys(keys, block)
        for source in sources:
            stored = pq.read_table(source / RESPONSES, columns=[KEY])[KEY].to_pylist()
            if all(self.blocks[key] != source for key in stored):
                shutil.rmtree(source)
        return block

    def _fold(self) -> None:
        """Folds the gathered windows and deletes their activations."""
        first = self.index.n_windows
        numbers = range(first, first + len(self._gathered))
        parts = [
            WindowActivations(block / ACTIVATIONS_FILE, self.index, answers)
            for block, answers in zip(self._gathered, self.answers(numbers), strict=True)
        ]
        for number, block in zip(numbers, self._gathered, strict=True):
            with atomic_write(self.responses_of(number)) as draft:
                draft.mkdir()
                shutil.copyfile(block / RESPONSES, draft / RESPONSES)
        counts: dict[str, dict[str, int]] = {}
        before, self.folder = self.folder, self.statistics_of(numbers.stop)
        with atomic_write(self.folder) as draft:
            draft.mkdir()
            positions = dict.fromkeys(name for part in parts for name in part.positions)
            for position in {**self.index.counts, **positions}:
                for layer in range(self.index.origin.n_layers):
                    path = moments_path(before, position, layer) if before else None
                    groups = read_moments(path) if path and path.exists() else {}
                    self._fold_into(groups, [part.rows(position, layer) for part in parts])
                    write_moments(moments_path(draft, position, layer), groups)
                    counts[position] = {name: groups[name].count for name in sorted(groups)}
            index = replace(self.index, n_windows=numbers.stop, counts=counts)
            write_index(draft, index)
        self.index = index
        if before:
            shutil.rmtree(before)
        for number, block in zip(numbers, self._gathered, strict=True):
            self.blocks.fold(self.windows[number])
            shutil.rmtree(block)
        self._gathered = []

    def _fold_into(
        self, groups: dict[str, Moments], parts: Iterable[Iterator[tuple[str, Floats, int]]]
    ) -> None:
        """Adds the rows of `parts` (`WindowActivations.rows`) to the moments of their groups."""
        for name, rows, order in chain.from_iterable(parts):
            moments = Moments.of_rows(rows, min(order, self._order))
            groups[name] = groups[name].merge(moments) if name in groups else moments


class WindowActivations:
    """The activations of one window, in groups."""

    def __init__(self, path: Path, index: StatisticsIndex, answers: Sequence[FoldedAnswer]):
        self._path, self._origin = path, index.origin
        self._at = shard_positions(path)
        self._answers = {answer.id: answer for answer in answers}

    @property
    def positions(self) -> list[str]:
        """Those that are folded."""
        return [
            *(name for name in CHAT_POSITIONS if name in self._at),
            *([ANSWER] if MATCHING in self._at else []),
        ]

    def rows(self, position: str, layer: int) -> Iterator[tuple[str, Floats, int]]:
        """Each group's name, rows (n, d_model) and highest order of moments."""
        if position in self._at:
            activations = self._read(position, layer)
            for name, mask in self._masks(position, "group"):
                yield name, activations[mask], FOURTH
        elif position == ANSWER and MATCHING in self._at:
            sides = {name: self._read(name, layer) for name in (MATCHING, NOT_MATCHING)}
            for side, activations in sides.items():
                yield side, activations, FOURTH
                for letter, mask in self._masks(side, side):
                    if letter:
                        yield f"{side} {letter}", activations[mask], MEAN
            yield DIFFERENCE, sides[MATCHING] - sides[NOT_MATCHING], COVARIANCE

    def _masks(self, position: str, attribute: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Each value of an attribute of the answers at a position, and which rows have it."""
        values = np.array(
            [getattr(self._answers[id], attribute) for id in self._at[position].ids], dtype=object
        )
        for value in sorted({*values}):
            yield value, values == value

    def _read(self, position: str, layer: int) -> Floats:
        """(n, d_model) in the order of the window."""
        at = self._at[position]
        part = ShardLayer(self._path, at.group, len(at.ids), self._origin, layer, position)
        return part.activations().astype(float)
