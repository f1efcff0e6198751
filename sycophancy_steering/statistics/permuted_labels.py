"""AUROCs under permuted labels: the range of chance for a read-out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.statistics.ranks import tied_ranks

BATCH_PERMUTATIONS = 25
"""Permutations of the labels in memory at once."""


def permuted_auroc_range(
    scores: Floats, labels: Labels, n_permutations: int, seed: int
) -> tuple[Floats, Floats]:
    """Bounds of the central 95% of AUROCs when the labels are permuted at random."""
    n_pos, n_neg = int((labels == 1).sum()), int((labels != 1).sum())
    if not n_pos or not n_neg:
        nan = np.full(np.shape(scores)[:-1], np.nan)
        return nan, nan
    rng = np.random.default_rng(seed)
    ranks, aurocs = tied_ranks(scores), []
    for start in range(0, n_permutations, BATCH_PERMUTATIONS):
        copies = np.tile(labels, (min(BATCH_PERMUTATIONS, n_permutations - start), 1))
        aurocs.append(auroc_of_permuted_labels(ranks, rng.permuted(copies, axis=1)))
    return central_interval(np.concatenate(aurocs, axis=-1))


def auroc_of_permuted_labels(ranks: Floats, permuted: NDArray[np.integer]) -> Floats:
    """AUROCs (..., k) of scores with `ranks` (..., n) against each row of `permuted` (k, n).

    All rows have the same number of sycophantic answers. One matrix product, and exact, as ranks
    are multiples of one half.
    """
    positive = (permuted == 1).astype(np.float64)
    n_pos = positive[0].sum()
    n_neg = positive.shape[1] - n_pos
    return (ranks @ positive.T - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)
