"""Read-outs of states on vectors."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.arrays import Floats

READ_AT = ("prompt", "continuation", "continuation_mean")
"""Where states are read: at the end of the prompt, of the model's answer, on average over it."""
READOUTS = ("projection", "cosine")
"""Dot product with the unit vector; cosine of the whole state with the vector."""
RANDOM_DIRECTIONS = 200
TOGETHER = 8
"""Vectors that one product reads."""
SCORES = 4 * 2**20
"""Bytes of scores in memory at once."""


def project(states: Stream, vectors: Floats, cosines: bool = True) -> Floats:
    """Read-outs (2, k, n) of `states` (n, d_model) on `vectors` (k, d_model), as in `READOUTS`;
    without `cosines`, the first alone (1, k, n).

    A vector's are the same whatever others there are: sums are of one shape.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    found = np.empty((1 + cosines, len(vectors), len(states)))
    for at, block in states.placed():
        for start in range(0, len(unit), TOGETHER):
            rows = slice(start, min(start + TOGETHER, len(unit)))
            part = np.zeros((TOGETHER, unit.shape[1]))
            part[: rows.stop - start] = unit[rows]
            found[0, rows, at] = (part @ block.T)[: rows.stop - start]
        if cosines:
            norms = np.linalg.norm(block, axis=1)
            found[1, :, at] = np.divide(
                found[0, :, at], norms, out=np.zeros((len(unit), len(block))), where=norms > 0
            )
    return found


def at_once(answers: int) -> int:
    """How many vectors' scores of so many answers may be in memory."""
    return max(1, SCORES // (8 * answers))
