"""How far directions agree: angles between them, and how much of the rest is noise.

`one` and `two` are (..., d_model) throughout, and results have the shape that is left.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import LEVEL


def cosine(one: Floats, two: Floats, metric: Floats | None = None) -> Floats:
    """Cosine of the angle between directions; NaN where one has no length.

    With `metric` (d_model, d_model), the covariance of states, it is the Mahalanobis cosine: the
    correlation of the two directions' projections. They agree where the states vary, and how they
    lie elsewhere makes no difference. It predicts the transfer of probes in
    https://arxiv.org/abs/2602.20273.
    """
    return _ratio(_inner(one, two, metric), _inner(one, one, metric), _inner(two, two, metric))


def principal_angles(one: Floats, two: Floats) -> Floats:
    """Angles in degrees, least first, between the spaces that rows of `one` (k, d_model) and of
    `two` (m, d_model) span (Jordan 1875): min(k, m) of them."""
    from scipy.linalg import subspace_angles

    return np.rad2deg(subspace_angles(one.T, two.T))[::-1]


def reliability(halves: Floats) -> Floats:
    """The cosine to expect of two vectors each from as many new pairs as there are, (...).

    `halves` is (splits, 2, ..., d_model): vectors from the two halves of the pairs, split many
    times. The mean cosine of two halves, stepped up to the whole (Spearman 1910, Brown 1910).
    """
    half = cosine(halves[:, 0], halves[:, 1]).mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(half > 0, 2 * half / (1 + half), 0.0)


def corrected(agreement: Floats, one: Floats, two: Floats) -> Floats:
    """A cosine over the most that it could be, given the `reliability` of both vectors.

    Spearman's correction for attenuation (1904): 1 where they differ by no more than noise. It may
    pass 1 by chance; NaN where a vector is nothing but noise.
    """
    return _ratio(agreement, one, two)


def cosine_interval(
    one: Floats, two: Floats, ones: Floats, twos: Floats, metric: Floats | None = None
) -> tuple[Floats, Floats]:
    """95% interval of `cosine` from resampled vectors `ones` and `twos` (draws, ..., d_model).

    Normal on Fisher's z scale with the resamples' standard deviation, for their own middle lies too
    low: a resampled vector has the noise of the first one and its own. That makes it longer, too,
    so that its angle varies less; the deviation is stretched by as much.
    """
    edge = 1 - 1e-12
    z = np.arctanh(np.clip(cosine(one, two, metric), -edge, edge))
    spread = np.arctanh(np.clip(cosine(ones, twos, metric), -edge, edge)).std(0, ddof=1)
    for whole, again in ((one, ones), (two, twos)):
        longer = _inner(again, again, metric).mean(0) / _inner(whole, whole, metric)
        spread = spread * np.maximum(longer, 1) ** 0.25  # half of it, and of a length, not a square
    reach = ndtri((1 + LEVEL) / 2) * spread
    return np.tanh(z - reach), np.tanh(z + reach)


def _inner(one: Floats, two: Floats, metric: Floats | None) -> Floats:
    return ((one if metric is None else one @ metric) * two).sum(-1)


def _ratio(product: Floats, one: Floats, two: Floats) -> Floats:
    """product / sqrt(one * two), NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.sqrt(np.maximum(one, 0) * np.maximum(two, 0))
        return np.where(size > 0, product / np.where(size > 0, size, 1), np.nan)
