"""Read-outs of states on vectors."""

from __future__ import annotations

import numpy as np

from lib.statistics import Floats

READ_AT = ("prompt", "continuation", "continuation_mean")
"""Where states are read: at the end of the prompt, of the model's answer, on average over it."""
READOUTS = ("projection", "cosine")
"""Dot product with the unit vector; cosine of the whole state with the vector."""
RANDOM_DIRECTIONS = 200


def project(states: Floats, vectors: Floats) -> Floats:
    """Read-outs (2, k, n) of `states` (n, d_model) on `vectors` (k, d_model), as in `READOUTS`."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    projection = unit @ states.T
    norms = np.linalg.norm(states, axis=1)
    cosine = np.divide(projection, norms, out=np.zeros_like(projection), where=norms > 0)
    return np.stack([projection, cosine])
