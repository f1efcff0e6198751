"""Means and shares of answers, with intervals that allow answers about one item to be alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import (
    LEVEL,
    Estimate,
    clustered_error,
    students_t,
)


def clustered_mean(values: Floats, clusters: NDArray[np.generic], together: int = 1) -> Estimate:
    """Mean of each of `values` (..., n), interval Student's t, clustered by item; with 95%
    probability all of so many intervals `together` hold the truth.

    The interval is without ends (NaN) for fewer than two items.
    """
    value = values.mean(-1)
    error = clustered_error((values - value[..., None]) / values.shape[-1], clusters)
    reach = students_t(max(len(np.unique(clusters)) - 1, 1), together) * error
    return Estimate(value, value - reach, value + reach)


def clustered_share(there: NDArray[np.bool_], clusters: NDArray[np.generic]) -> Estimate:
    """Share of each of `there` (..., n) that is true, interval clustered by item.

    Student's t on the logit scale. Where all are alike there is no variance to work with, and the
    bound is the share at which that happens once in 40 times for m independent items.
    """
    mean = clustered_mean(there.astype(np.float64), clusters)
    value, items = mean.value, len(np.unique(clusters))
    with np.errstate(divide="ignore", invalid="ignore"):
        logit = np.log(value) - np.log1p(-value)
        step = (mean.high - value) / (value * (1 - value))
        low, high = 1 / (1 + np.exp(step - logit)), 1 / (1 + np.exp(-step - logit))
    bound = ((1 - LEVEL) / 2) ** (1 / items)
    low = np.where(value == 1, bound, np.where(value == 0, 0.0, low))
    high = np.where(value == 0, 1 - bound, np.where(value == 1, 1.0, high))
    return Estimate(value, low, high)
