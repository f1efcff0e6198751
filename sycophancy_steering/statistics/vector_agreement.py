"""Agreement of directions: angles between them, and how much of the rest is noise.

Vectors are (..., d_model) throughout; results have the remaining shape.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.estimates import CONFIDENCE


def cosine(one: Floats, two: Floats, metric: Floats | None = None) -> Floats:
    """Cosine similarity of directions; NaN where one has length 0.

    With `metric` (d_model, d_model), the covariance of the activations, it is the Mahalanobis
    cosine: the correlation of the two projections, which ignores directions in which activations
    do not vary. It predicts the transfer of probes in https://arxiv.org/abs/2602.20273.
    """
    squares = _inner(one, one, metric), _inner(two, two, metric)
    return _geometric_ratio(_inner(one, two, metric), *squares)


def principal_angles(one: Floats, two: Floats) -> Floats:
    """Angles between the row spaces of `one` (k, d_model) and `two` (m, d_model).

    min(k, m) of them in degrees, ascending (Jordan 1875).
    """
    from scipy.linalg import subspace_angles

    return np.rad2deg(subspace_angles(one.T, two.T))[::-1]


def reliability(split_halves: Floats) -> Floats:
    """Expected cosine (...) of vectors from two new samples of the same size.

    `split_halves` is (n_splits, 2, ..., d_model): vectors from random halves of the pairs. Their
    mean cosine is stepped up to the full number (Spearman 1910, Brown 1910).
    """
    half = cosine(split_halves[:, 0], split_halves[:, 1]).mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(half > 0, 2 * half / (1 + half), 0.0)


def disattenuated(cosines: Floats, reliability_one: Floats, reliability_two: Floats) -> Floats:
    """Cosines divided by the largest that the vectors' `reliability` allows.

    Spearman's correction for attenuation (1904): 1 where the vectors differ by noise only. Chance
    may take it past 1; NaN where a vector is all noise.
    """
    return _geometric_ratio(cosines, reliability_one, reliability_two)


def cosine_interval(
    one: Floats,
    two: Floats,
    resampled_one: Floats,
    resampled_two: Floats,
    metric: Floats | None = None,
) -> tuple[Floats, Floats]:
    """95% interval of `cosine` from resampled vectors (n_resamples, ..., d_model).

    Normal on Fisher's z scale, centred at the estimate: resampled cosines are biased downwards, as
    a resampled vector has the estimate's noise and its own. That also makes it longer, and its
    angle less variable, so the standard deviation is inflated by as much.
    """
    edge = 1 - 1e-12
    z = np.arctanh(np.clip(cosine(one, two, metric), -edge, edge))
    resampled = cosine(resampled_one, resampled_two, metric)
    sd = np.arctanh(np.clip(resampled, -edge, edge)).std(0, ddof=1)
    for vector, resamples in ((one, resampled_one), (two, resampled_two)):
        squares = _inner(resamples, resamples, metric).mean(0) / _inner(vector, vector, metric)
        sd = sd * np.maximum(squares, 1) ** 0.25  # a length is a root; each vector counts half
    half_width = ndtri((1 + CONFIDENCE) / 2) * sd
    return np.tanh(z - half_width), np.tanh(z + half_width)


def _inner(one: Floats, two: Floats, metric: Floats | None) -> Floats:
    return ((one if metric is None else one @ metric) * two).sum(-1)


def _geometric_ratio(product: Floats, one: Floats, two: Floats) -> Floats:
    """product / sqrt(one * two); NaN where the divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.sqrt(np.maximum(one, 0) * np.maximum(two, 0))
        return np.where(size > 0, product / np.where(size > 0, size, 1), np.nan)
