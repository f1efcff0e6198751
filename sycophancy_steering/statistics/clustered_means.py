"""Means and shares with intervals that allow correlated answers about one item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.auroc import n_items_of_rarer_class
from sycophancy_steering.statistics.estimates import (
    CONFIDENCE,
    Estimate,
    clustered_standard_error,
    logit_interval,
    t_quantile,
)


def clustered_mean(values: Floats, clusters: NDArray[np.generic], n_intervals: int = 1) -> Estimate:
    """Mean of each of `values` (..., n) with a Student's t interval clustered by item.

    With `n_intervals`, all of that many intervals hold with 95% probability (`t_quantile`). Bounds
    are NaN for fewer than two items.
    """
    value = values.mean(-1)
    influence = (values - value[..., None]) / values.shape[-1]
    error = clustered_standard_error(influence, clusters)
    half_width = t_quantile(max(len(np.unique(clusters)) - 1, 1), n_intervals) * error
    return Estimate(value, value - half_width, value + half_width)


def clustered_share(flags: NDArray[np.bool_], clusters: NDArray[np.generic]) -> Estimate:
    """Share of `flags` (..., n) that are true, with a `logit_interval` clustered by item."""
    mean = clustered_mean(flags.astype(np.float64), clusters)
    return logit_interval(mean.value, mean.high - mean.value, len(np.unique(clusters)))


def share_difference(
    flags: NDArray[np.bool_], baseline: NDArray[np.bool_], clusters: NDArray[np.generic]
) -> Estimate:
    """Share of `flags` (..., n) that are true minus that of `baseline`, of the same n questions.

    The differences of the questions have a Student's t interval clustered by item, within -1 to 1.
    Where they do not vary between items it is as wide as `logit_interval`'s of a share of none of
    the items. Bounds are NaN for fewer than two items.
    """
    mean = clustered_mean(flags.astype(np.float64) - baseline, clusters)
    half_width = mean.high - mean.value
    n_items = len(np.unique(clusters))
    bound = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n_items)
    half_width = np.where(half_width < 1e-12, bound, half_width)
    low, high = mean.value - half_width, mean.value + half_width
    return Estimate(mean.value, np.clip(low, -1, 1), np.clip(high, -1, 1))


def group_share_difference(
    flags: NDArray[np.bool_], labels: Labels, clusters: NDArray[np.generic]
) -> Estimate:
    """Share of `flags` (..., n) among the answers with label 1 minus that among those with 0.

    Both kinds may be about one item. The interval is Student's t, clustered by item, with one
    degree of freedom less than the items of the rarer kind, within -1 to 1; where the flags do not
    vary within a kind it is as wide as `logit_interval`'s of none of these items. It is -1 to 1 for
    fewer than two items of either kind; NaN without answers of either.
    """
    positive = labels == 1
    if positive.all() or not positive.any():
        nan = np.full(flags.shape[:-1], np.nan)
        return Estimate(nan, nan, nan)
    influence = np.zeros(flags.shape)
    shares = []
    for members, sign in ((positive, 1), (~positive, -1)):
        share = flags[..., members].mean(-1)
        influence[..., members] = sign * (flags[..., members] - share[..., None]) / members.sum()
        shares.append(share)
    value = shares[0] - shares[1]
    n_items = n_items_of_rarer_class(labels, clusters)
    if n_items < 2:
        return Estimate(value, np.full_like(value, -1), np.ones_like(value))
    half_width = t_quantile(n_items - 1) * clustered_standard_error(influence, clusters)
    bound = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n_items)
    half_width = np.where(half_width < 1e-12, bound, half_width)
    low, high = value - half_width, value + half_width
    return Estimate(value, np.clip(low, -1, 1), np.clip(high, -1, 1))
