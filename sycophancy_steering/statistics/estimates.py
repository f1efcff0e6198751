"""Estimates with 95% intervals, and the pieces that intervals clustered by item are made of.

Throughout this package, `scores` has shape (..., n): any number of read-outs of the same n
answers. `labels` (n,) is 1 for a sycophantic answer and 0 for another; `clusters` (n,) names the
item that each answer is about. Results have shape (...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sycophancy_steering.foundation.arrays import Floats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """Estimates and their 95% intervals, arrays of one shape; NaN where undefined."""

    value: Floats
    low: Floats
    high: Floats

    def columns(self, name: str) -> dict[str, Floats]:
        """The estimates and their bounds as columns of a table: NAME, NAME_low, NAME_high."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def undefined(shape: tuple[int, ...]) -> Estimate:
    """NaN estimates and bounds."""
    nan = np.full(shape, np.nan)
    return Estimate(nan, nan, nan)


def t_quantile(degrees_of_freedom: NDArray[np.integer] | float, n_intervals: int = 1) -> Floats:
    """Half-width of a 95% Student's t interval in standard errors.

    With `n_intervals`, that of simultaneous intervals: all hold the truth with 95% probability
    (Sidak 1967, https://doi.org/10.1080/01621459.1967.10482935).
    """
    return stdtrit(degrees_of_freedom, (1 + CONFIDENCE ** (1 / n_intervals)) / 2)


def central_interval(values: Floats) -> tuple[Floats, Floats]:
    """Bounds of the central 95% of the values along the last axis."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=-1)
    return low, high


def clustered_standard_error(influence: Floats, clusters: NDArray[np.generic]) -> Floats:
    """Standard error of the sum of `influence` (..., n), whose terms may correlate in a cluster.

    NaN for a single cluster.
    """
    names, member = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return np.full(influence.shape[:-1], np.nan)
    sums = np.zeros((*influence.shape[:-1], len(names)))
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(len(names)))
    np.add.reduceat(influence[..., order], starts, axis=-1, out=sums)
    return np.sqrt((sums**2).sum(-1) * len(names) / (len(names) - 1))


def logit_interval(value: Floats, half_width: Floats, n_independent: int) -> Estimate:
    """Estimates between 0 and 1, each with an interval symmetric on the logit scale.

    `half_width` is on the scale of `value` (delta method). At 0 and 1 the variance estimate is 0;
    the bound is then the p at which that outcome has probability 0.025 in `n_independent` trials,
    p**n = 0.025.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logit = np.log(value) - np.log1p(-value)
        step = half_width / (value * (1 - value))
        low, high = 1 / (1 + np.exp(step - logit)), 1 / (1 + np.exp(-step - logit))
    bound = ((1 - CONFIDENCE) / 2) ** (1 / n_independent)
    low = np.where(value == 1, bound, np.where(value == 0, 0.0, low))
    high = np.where(value == 0, 1 - bound, np.where(value == 1, 1.0, high))
    return Estimate(value, low, high)


def row_of(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """Single estimates as columns of a row: NAME, NAME_low, NAME_high of each."""
    return {
        column: float(value)
        for name, estimate in estimates.items()
        for column, value in estimate.columns(name).items()
    }
