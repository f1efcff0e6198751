"""Vectors that a set's pairs make when their answers are dealt anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.analysis.readouts import at_once, project
from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import auroc

SEED = 1_000
AT_ONCE = 128
"""Vectors that are made at once."""
Labelled = tuple[NDArray[np.integer], NDArray[np.integer]]
"""Where some answers stand among all, and their labels."""


def shuffled_differences(differences: Stream, count: int) -> Floats:
    """`count` mean differences (count, d_model) of pairs (n, d_model), each pair's sign at random.

    The same signs for every layer, as a pair is shuffled as a whole.
    """
    draw, found = np.random.default_rng(SEED), []
    for start in range(0, count, AT_ONCE):
        number = min(AT_ONCE, count - start)
        signs = draw.integers(0, 2, (number, len(differences)), np.int8) * 2 - 1
        found.append(differences.weighted(signs) / len(differences))
    return np.concatenate(found)


def aurocs(vectors: Floats, states: Stream, labelled: Sequence[Labelled]) -> list[Floats]:
    """For each of `labelled`, the AUROC of each of `vectors` (k, d_model) among their `states`.

    As many vectors at a time as may be in memory.
    """
    found: list[list[Floats]] = [[] for _ in labelled]
    size = at_once(2 * len(states))
    for start in range(0, len(vectors), size):
        read = project(states, vectors[start : start + size], cosines=False)[0]
        for (rows, labels), areas in zip(labelled, found, strict=True):
            areas.append(auroc(np.take(read, rows, axis=1), labels))
    return [np.concatenate(areas) for areas in found]
