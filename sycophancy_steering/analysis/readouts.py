"""Read-outs of activations: projections on steering vectors, and cosines with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.auroc import auroc

READ_POSITIONS = ("prompt", "continuation", "continuation_mean")
"""The last token of the prompt, of the model's own answer, and the mean over that answer."""
READOUTS = ("projection", "cosine")
"""Dot product with the unit vector; cosine similarity of the raw activation with the vector."""
N_RANDOM_DIRECTIONS = 200
VECTORS_PER_PRODUCT = 64
"""Vectors of one matrix product; small products spend their time on waiting for BLAS threads."""
SCORE_BYTES = 4 * 2**20
"""Scores held in memory at once."""


def read_out(activations: ArrayStream, vectors: Floats) -> Floats:
    """Read-outs (2, k, n), in the order of `READOUTS`, of `activations` (n, d_model) on `vectors`
    (k, d_model)."""
    norms = np.empty(len(activations))
    projections = project(activations, vectors, norms)
    cosines = np.divide(projections, norms, out=np.zeros_like(projections), where=norms > 0)
    return np.stack([projections, cosines])


def project(activations: ArrayStream, vectors: Floats, norms: Floats | None = None) -> Floats:
    """Projections (k, n) of `activations` (n, d_model) on the unit vectors of `vectors`
    (k, d_model).

    Those of one vector do not depend on the others: every product has one shape. Fills `norms`
    (n,), where given, with the activations' norms.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    projections = np.empty((len(vectors), len(activations)))
    for columns, block in activations.indexed_blocks():
        for start in range(0, len(unit), VECTORS_PER_PRODUCT):
            rows = slice(start, min(start + VECTORS_PER_PRODUCT, len(unit)))
            padded = np.zeros((VECTORS_PER_PRODUCT, unit.shape[1]))
            padded[: rows.stop - start] = unit[rows]
            projections[rows, columns] = (padded @ block.T)[: rows.stop - start]
        if norms is not None:
            norms[columns] = np.linalg.norm(block, axis=1)
    return projections


def cell_aurocs(vectors: Floats, activations: ArrayStream, cells: Sequence[Cell]) -> list[Floats]:
    """For each of `cells`, the AUROC (k,) of projections on each of `vectors` (k, d_model).

    `activations` (N, d_model) are those of all answers of the evaluation set; those that are in no
    cell are not projected.
    """
    rows = np.unique(np.concatenate([cell.rows for cell in cells]))
    read = activations.select_rows(rows)
    parts: list[list[Floats]] = [[] for _ in cells]
    size = vectors_in_memory(2 * len(activations))
    for start in range(0, len(vectors), size):
        projections = project(read, vectors[start : start + size])
        for cell, aurocs in zip(cells, parts, strict=True):
            own = np.take(projections, np.searchsorted(rows, cell.rows), axis=1)
            aurocs.append(auroc(own, cell.labels))
    return [np.concatenate(aurocs) for aurocs in parts]


def random_direction_aurocs(
    seed: int, layer: int, d_model: int, activations: ArrayStream, cells: Sequence[Cell]
) -> list[Floats]:
    """For each of `cells`, the AUROCs of the `N_RANDOM_DIRECTIONS` random directions of `layer`."""
    return cell_aurocs(random_directions(seed, layer, d_model), activations, cells)


def random_directions(seed: int, layer: int, d_model: int) -> Floats:
    """The `N_RANDOM_DIRECTIONS` random directions (k, d_model) of `layer`."""
    rng = np.random.default_rng([seed, layer])
    return rng.standard_normal((N_RANDOM_DIRECTIONS, d_model))


def vectors_in_memory(n_answers: int) -> int:
    """The number of vectors whose scores of so many answers fit `SCORE_BYTES`."""
    return max(1, SCORE_BYTES // (8 * n_answers))
