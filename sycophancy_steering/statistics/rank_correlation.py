"""Rank correlation of read-outs with a continuous outcome, clustered by item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.estimates import (
    Estimate,
    clustered_standard_error,
    t_quantile,
    undefined,
)
from sycophancy_steering.statistics.ranks import tie_bounds, tied_ranks
from sycophancy_steering.statistics.sign_flips import Items, product_influences


def rank_correlation(scores: Floats, outcome: Floats) -> Floats:
    """Spearman's (1904) correlation of `scores` (..., n) with `outcome` (n,); ties share ranks.

    NaN where scores or outcome are constant.
    """
    scores = np.asarray(scores, dtype=np.float64)
    n = scores.shape[-1]
    if n < 2:
        return np.full(scores.shape[:-1], np.nan)
    x, y = _mid_distribution(scores), _mid_distribution(outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.sqrt((x**2).mean(-1) * (y**2).mean(-1))
        return np.clip(np.where(size > 0, (x * y).mean(-1) / size, np.nan), -1, 1)


def clustered_rank_correlation(
    scores: Floats, outcome: Floats, clusters: NDArray[np.generic]
) -> Estimate:
    """`rank_correlation` with an interval that allows correlated answers about one item.

    The error sums `rank_influences` by item; the interval is Student's t on Fisher's z scale. NaN
    where scores or outcome are constant; -1 to 1 for fewer than three items.
    """
    value = rank_correlation(scores, outcome)
    if np.isnan(value).all():
        return undefined(value.shape)
    n_items = len(np.unique(clusters))
    known = np.where(np.isnan(value), np.nan, 1.0)
    if n_items < 3:
        return Estimate(value, -known, known)
    error = clustered_standard_error(rank_influences(scores, outcome, value), clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.arctanh(value)
        step = t_quantile(n_items - 1) * error / (1 - value**2)
        low, high = np.tanh(z - step), np.tanh(z + step)
    exact = np.abs(value) == 1
    return Estimate(value, np.where(exact, value, low), np.where(exact, value, high))


def rank_influences(scores: Floats, outcome: Floats, value: Floats) -> Floats:
    """Each answer's influence (..., n) on the rank correlation `value` (...).

    An answer counts by its own ranks and by the ranks that it gives to others (Croux and Dehon
    2010, https://doi.org/10.1007/s10260-010-0142-z). Here also for ties, which make the variance of
    the ranks an estimate too: the derivative of the weighted statistic by the answer's weight
    (the infinitesimal jackknife, Efron 1982).
    """
    x, y = _mid_distribution(scores), _mid_distribution(outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_x, variance_y = (x**2).mean(-1)[..., None], (y**2).mean()
        product = x * y + _mean_above(scores, y) + _mean_above(outcome, x)
        square_x = (x**2 + 2 * _mean_above(scores, x)) / variance_x
        square_y = (y**2 + 2 * _mean_above(outcome, y)) / variance_y
        influence = product / np.sqrt(variance_x * variance_y)
        return (influence - value[..., None] / 2 * (square_x + square_y)) / x.shape[-1]


def item_rank_influences(
    scores: Floats, outcome: Floats, clusters: Items, all_items: Items
) -> tuple[Floats, Floats]:
    """Statistics (k,) of the rank correlations of `scores` (k, n), and their items' influences.

    (k, len(all_items)) of length one, a column for each of the sorted `all_items`; 0 where the
    correlation is undefined. For `sign_flips`: `product_influences` of the ranks.
    """
    x, y = _mid_distribution(scores), _mid_distribution(outcome)
    return product_influences(x, y, np.zeros(len(y)), clusters, all_items)


def _mid_distribution(values: Floats) -> Floats:
    """The share (..., n) of the values that are smaller, ties counted half, less one half."""
    return (tied_ranks(values) - 0.5) / np.shape(values)[-1] - 0.5


def _mean_above(values: Floats, weights: Floats) -> Floats:
    """For each of `values`, the mean over all n of the `weights` of higher values, ties half.

    The weights have mean 0; both are (..., n) and are broadcast.
    """
    values, weights = np.broadcast_arrays(np.asarray(values, dtype=np.float64), weights)
    order = np.argsort(values, axis=-1)
    first, last = tie_bounds(np.take_along_axis(values, order, -1))
    ordered = np.take_along_axis(weights, order, -1)
    sums = np.cumsum(ordered, -1)
    below = np.take_along_axis(sums - ordered, first, -1)
    above = np.empty(values.shape)
    np.put_along_axis(above, order, -(below + np.take_along_axis(sums, last, -1)) / 2, -1)
    return above / values.shape[-1]
