"""Read-outs as probabilities: a fit of one parameter, and how wrong it is on other answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import (
    Estimate,
    clustered_error,
    midranks,
    students_t,
)

BINS = 5
"""Of equal counts, in which shares are held against probabilities."""
WIDEST = 5.0
"""Standard deviation of the normal prior of the slope: a perfect read-out has none else."""
STEPS = 30


@dataclass(frozen=True)
class Fit:
    """Log-odds of a sycophantic answer: offset + slope * (score - centre) / spread."""

    offset: float
    centre: Floats
    spread: Floats
    slope: Floats

    def probabilities(self, scores: Floats) -> Floats:
        """(..., n)"""
        z = (scores - self.centre[..., None]) / self.spread[..., None]
        return 1 / (1 + np.exp(-np.clip(self.offset + self.slope[..., None] * z, -30, 30)))


def fit(scores: Floats, labels: NDArray[np.integer]) -> Fit:
    """The likeliest slope; offset, centre and spread are those of the answers themselves.

    `scores` is (..., n). The offset is the log-odds of the labels' share (of both classes one more
    than there are, so that it is finite).
    """
    scores = np.asarray(scores, dtype=np.float64)
    share = (labels.sum() + 1) / (len(labels) + 2)
    offset = float(np.log(share / (1 - share)))
    centre, spread = scores.mean(-1), scores.std(-1)
    spread = np.where(spread > 0, spread, 1.0)
    z = (scores - centre[..., None]) / spread[..., None]
    slope = np.zeros(scores.shape[:-1])
    for _ in range(STEPS):  # Newton's; the likelihood is concave in the slope
        p = 1 / (1 + np.exp(-(offset + slope[..., None] * z)))
        pull = (z * (labels - p)).sum(-1) - slope / WIDEST**2
        bend = (z**2 * p * (1 - p)).sum(-1) + 1 / WIDEST**2
        slope = slope + np.clip(pull / bend, -1, 1)
    return Fit(offset, centre, spread, slope)


def brier(
    probabilities: Floats, labels: NDArray[np.integer], clusters: NDArray[np.generic]
) -> Estimate:
    """Mean squared error of probabilities (..., n) (Brier 1950), interval clustered by item."""
    return _clustered_mean((probabilities - labels) ** 2, clusters)


def calibration_error(
    probabilities: Floats, labels: NDArray[np.integer], clusters: NDArray[np.generic]
) -> Estimate:
    """Mean gap between probability and share in `BINS` bins of equal counts (ECE, Naeini 2015).

    The interval, clustered by item, takes bins and the gaps' signs as they are. Gaps do not cancel,
    so the estimate is too large by chance where the truth is near 0, and the interval is then no
    guide.
    """
    n = probabilities.shape[-1]
    bins = np.minimum((midranks(probabilities) - 1) * BINS / n, BINS - 1).astype(int)
    gaps = labels - probabilities
    signed = np.zeros_like(gaps)
    for each in range(BINS):
        inside = bins == each
        sign = np.sign((gaps * inside).sum(-1, keepdims=True))
        signed += inside * sign * gaps
    return _clustered_mean(signed, clusters)


def _clustered_mean(values: Floats, clusters: NDArray[np.generic]) -> Estimate:
    """Mean over the last axis with a Student's t interval from sums by cluster, between 0 and 1."""
    mean = values.mean(-1)
    items = len(np.unique(clusters))
    if items < 2:
        return Estimate(mean, np.zeros_like(mean), np.ones_like(mean))
    error = clustered_error((values - mean[..., None]) / values.shape[-1], clusters)
    reach = students_t(items - 1) * error
    return Estimate(mean, np.clip(mean - reach, 0, 1), np.clip(mean + reach, 0, 1))
