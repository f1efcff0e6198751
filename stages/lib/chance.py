"""Vectors that a set's pairs make when their answers are dealt anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.cells import Cell
from lib.readouts import project
from lib.statistics import Floats, auroc

SEED = 1_000
AT_ONCE = 256
"""Vectors whose scores are held at once."""


def shuffled_differences(differences: Floats, count: int) -> Floats:
    """`count` mean differences (count, d_model) of pairs (n, d_model), each pair's sign at random.

    The same signs for every layer, as a pair is shuffled as a whole.
    """
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], (count, len(differences)))
    return signs @ differences / len(differences)


def aurocs(vectors: Floats, states: Floats, cells: Sequence[Cell]) -> list[Floats]:
    """For each cell, the AUROC of each of `vectors` (k, d_model) among the answers' `states`."""
    found: list[list[Floats]] = [[] for _ in cells]
    for start in range(0, len(vectors), AT_ONCE):
        read = project(states, vectors[start : start + AT_ONCE])[0]
        for cell, areas in zip(cells, found, strict=True):
            areas.append(auroc(np.take(read, cell.rows, axis=1), cell.labels))
    return [np.concatenate(areas) for areas in found]
