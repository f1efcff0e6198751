"""What methods fit to states that are read a block at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.vectors.contrast import Contrast, AnswerGroup
from sycophancy_steering.vectors.minimise import minimise_batch

SampleWeights = NDArray[np.float64] | NDArray[np.bool_]
MAX_GRAM_ROWS = 2048
"""Rows whose products with one another are held in memory."""


def group_folds(items: NDArray[np.generic], max_folds: int) -> NDArray[np.bool_]:
    """(folds, n): which of `items` (n,) are held out in each of at most so many folds, the whole of
    an item in one.

    `sklearn.model_selection.GroupKFold`, whose package takes longer to import than a probe to fit:
    the largest item goes to the smallest fold.
    """
    which, sizes = np.unique(items, return_inverse=True, return_counts=True)[1:]
    filled = np.zeros(min(max_folds, len(sizes)))
    fold_of = np.zeros(len(sizes), dtype=int)
    for item in np.argsort(sizes, kind="stable")[::-1]:
        fold_of[item] = filled.argmin()
        filled[fold_of[item]] += sizes[item]
    return fold_of[which] == np.arange(len(filled))[:, None]


def logistic_losses(
    contrast: Contrast, weights: Floats, sample_weights: SampleWeights
) -> tuple[Floats, Floats]:
    """Mean logistic losses (k,) of telling sycophantic states, and their slopes (k, d_model + 1).

    `weights` (k, d_model + 1), the last one the intercept, are those of standardised states;
    `counts` (k, n) says how often each state counts.
    """
    from scipy.special import expit

    read = weights[:, :-1] / contrast.standard_deviation
    offsets = weights[:, -1] - read @ contrast.mean
    values, pulled, along = np.zeros(len(read)), np.zeros(len(read)), np.zeros(read.shape)
    for at, block, label in contrast.labelled_blocks():
        side = 1.0 if label else -1.0
        odds = side * (read @ block.T + offsets[:, None])
        values += (sample_weights[:, at] * np.logaddexp(0, -odds)).sum(1)
        pull = -side * expit(-odds) * sample_weights[:, at]
        pulled += pull.sum(1)
        along += pull @ block
    along = (along - pulled[:, None] * contrast.mean) / contrast.standard_deviation
    slopes = np.concatenate([along, pulled[:, None]], axis=1)
    total = sample_weights.sum(1)
    return values / total, slopes / total[:, None]


def logistic_regressions(
    contrast: Contrast, sample_weights: SampleWeights, inverse_penalties: Floats
) -> Floats:
    """Weights (k, d_model + 1) of logistic regressions on standardised states, with L2 of the
    inverse `strengths` (k,), as scikit-learn's `C`; `counts` as above, 0 for a state left out."""
    penalties = 1 / (inverse_penalties * sample_weights.sum(1))

    def losses(weights: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        values, slopes = logistic_losses(contrast, weights, sample_weights[which])
        penalty = penalties[which]
        slopes[:, :-1] += penalty[:, None] * weights[:, :-1]
        return values + penalty / 2 * (weights[:, :-1] ** 2).sum(1), slopes

    starts = np.zeros((len(sample_weights), len(contrast.mean) + 1))
    return minimise_batch(losses, starts, relative_tolerance=1e-13)[0]


def ledoit_wolf_covariance(group: AnswerGroup) -> Floats:
    """(d_model, d_model): the covariance of a group's standardised states, shrunk towards a
    multiple of one (Ledoit and Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4), in the
    states' own coordinates."""
    count, mean = len(group), group.activations.mean
    spread = np.sqrt(group.activations.variance)
    spread[spread == 0] = 1.0
    covariance = group.activations.scatter / count / np.outer(spread, spread)
    width = len(mean)
    lengths = group.activations.map_blocks(
        lambda block: (((block - mean) / spread) ** 2).sum(1, keepdims=True)
    )
    fourth = sum(float((block**2).sum()) for block in lengths.blocks()) / count
    level = np.trace(covariance) / width
    squares = float((covariance**2).sum())
    noise = (fourth - squares) / count / width
    apart = (squares - width * level**2) / width
    noise = min(noise, apart)
    share = 0.0 if noise == 0 else noise / apart
    shrunk = (1 - share) * covariance
    shrunk[np.diag_indices(width)] += share * level
    return shrunk * np.outer(spread, spread)


def first_component_weights(layers: Sequence[ArrayStream]) -> Floats:
    """(n,) weights of rows in the first principal component (of length one) of `layers`, each
    (n, d_model), side by side; its sign is that of their mean."""
    count = len(layers[0])
    if count <= MAX_GRAM_ROWS:
        products = sum(rows @ rows.T for rows in (layer.to_array() for layer in layers))
        centring = np.eye(count) - 1 / count
        sizes, directions = np.linalg.eigh(centring @ products @ centring)
        size, along = float(sizes[-1]), centring @ directions[:, -1]
    else:
        size, along = _by_passes(layers)
    along = along / np.sqrt(max(size, np.finfo(float).tiny))
    towards = sum(float(layer.weighted_sums(along[None])[0] @ layer.mean) for layer in layers)
    return along if towards >= 0 else -along


def _by_passes(layers: Sequence[ArrayStream]) -> tuple[float, Floats]:
    """The largest eigenvalue of the rows' centred products, and its vector (n,), by Lanczos: a pass
    over all layers a step."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    count = len(layers[0])

    def times(vector: Floats) -> Floats:
        centred = vector.ravel() - vector.mean()
        found = np.zeros(count)
        for layer in layers:
            found += layer.dot(layer.weighted_sums(centred[None])[0])
        return found - found.mean()

    operator = LinearOperator(shape=(count, count), matvec=times, dtype=np.float64)  # type: ignore
    start = np.random.default_rng(0).standard_normal(count)
    sizes, vectors = eigsh(operator, k=1, v0=start, tol=1e-8)  # type: ignore
    return float(sizes[0]), vectors[:, 0] - vectors[:, 0].mean()
