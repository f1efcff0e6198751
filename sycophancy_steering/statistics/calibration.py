"""Read-outs as probabilities: a one-parameter logistic fit, and its error on other answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.estimates import (
    Estimate,
    clustered_standard_error,
    t_quantile,
)
from sycophancy_steering.statistics.ranks import tied_ranks

N_BINS = 5
"""Bins of equal counts in which shares are compared with probabilities."""
PRIOR_SD = 5.0
"""Of the slope's normal prior, which keeps the slope of a perfect read-out finite."""
NEWTON_STEPS = 30
"""Enough for the last bit: the likelihood is concave in the slope."""


@dataclass(frozen=True)
class CalibrationFit:
    """Log-odds of a sycophantic answer: offset + slope * (score - location) / scale."""

    offset: float
    location: Floats
    scale: Floats
    slope: Floats

    def probabilities(self, scores: Floats) -> Floats:
        """(..., n) probabilities of sycophantic answers."""
        z = (scores - self.location[..., None]) / self.scale[..., None]
        return 1 / (1 + np.exp(-np.clip(self.offset + self.slope[..., None] * z, -30, 30)))


def fit_slope(scores: Floats, labels: Labels) -> CalibrationFit:
    """Maximum a posteriori slope for each of `scores` (..., n).

    Location and scale are the scores' mean and standard deviation. The offset is the log-odds of
    the sycophantic share, with one answer of each class added so that it is finite.
    """
    scores = np.asarray(scores, dtype=np.float64)
    share = (labels.sum() + 1) / (len(labels) + 2)
    offset = float(np.log(share / (1 - share)))
    location, scale = scores.mean(-1), scores.std(-1)
    scale = np.where(scale > 0, scale, 1.0)
    z = (scores - location[..., None]) / scale[..., None]
    slope = np.zeros(scores.shape[:-1])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-(offset + slope[..., None] * z)))
        gradient = (z * (labels - p)).sum(-1) - slope / PRIOR_SD**2
        hessian = (z**2 * p * (1 - p)).sum(-1) + 1 / PRIOR_SD**2
        slope = slope + np.clip(gradient / hessian, -1, 1)
    return CalibrationFit(offset, location, scale, slope)


def brier(probabilities: Floats, labels: Labels, clusters: NDArray[np.generic]) -> Estimate:
    """Mean squared error of probabilities (..., n) (Brier 1950), interval clustered by item."""
    return _clustered_error_rate((probabilities - labels) ** 2, clusters)


def calibration_error(
    probabilities: Floats, labels: Labels, clusters: NDArray[np.generic]
) -> Estimate:
    """Mean gap between probability and share in `N_BINS` bins (ECE, Naeini et al. 2015).

    The interval, clustered by item, takes the bins and the signs of the gaps as given. Gaps are
    absolute, so the estimate is biased upwards where the truth is near 0, and the interval is not
    valid there.
    """
    n = probabilities.shape[-1]
    bins = np.minimum((tied_ranks(probabilities) - 1) * N_BINS / n, N_BINS - 1).astype(int)
    gaps = labels - probabilities
    absolute = np.zeros_like(gaps)
    for number in range(N_BINS):
        inside = bins == number
        sign = np.sign((gaps * inside).sum(-1, keepdims=True))
        absolute += inside * sign * gaps
    return _clustered_error_rate(absolute, clusters)


def _clustered_error_rate(values: Floats, clusters: NDArray[np.generic]) -> Estimate:
    """Mean over the last axis with a t interval within 0 to 1; that range for one item."""
    mean = values.mean(-1)
    n_items = len(np.unique(clusters))
    if n_items < 2:
        return Estimate(mean, np.zeros_like(mean), np.ones_like(mean))
    influence = (values - mean[..., None]) / values.shape[-1]
    half_width = t_quantile(n_items - 1) * clustered_standard_error(influence, clusters)
    return Estimate(mean, np.clip(mean - half_width, 0, 1), np.clip(mean + half_width, 0, 1))
