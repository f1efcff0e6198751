"""Area under the ROC curve of many read-outs at once, with intervals clustered by item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.estimates import (
    CONFIDENCE,
    Estimate,
    clustered_standard_error,
    logit_interval,
    t_quantile,
)
from sycophancy_steering.statistics.ranks import sorted_ranks, tied_ranks

BATCH_SCORES = 2**18
"""Scores that are ranked at once."""
LEAST_ITEMS = 5
"""With fewer items of the rarer class, an interval of a difference is too narrow, and that of an
AUROC says little."""


def auroc(scores: Floats, labels: Labels) -> Floats:
    """P(score of a sycophantic answer > score of another) + P(equal) / 2; NaN for one class."""
    positive = labels == 1
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if not n_pos or not n_neg:
        return np.full(np.shape(scores)[:-1], np.nan)
    if scores.ndim > 1 and scores.size > BATCH_SCORES and len(scores) > 1:
        return np.concatenate([auroc(part, labels) for part in np.array_split(scores, 2)])
    order, ranks = sorted_ranks(scores)
    return ((ranks * positive[order]).sum(-1) - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)


def clustered_auroc(scores: Floats, labels: Labels, clusters: NDArray[np.generic]) -> Estimate:
    """`auroc` with an interval that allows correlated answers about one item.

    The variance is Obuchowski's (1997, https://doi.org/10.2307/2533958), DeLong's for clustered
    data: each answer's placement among the other class, summed by item. The interval is Student's
    t on the logit scale with one degree of freedom less than the items of the rarer class, and
    `logit_interval`'s where the classes are perfectly ordered. With fewer than two items of either
    class it is 0 to 1.
    """
    value = auroc(scores, labels)
    if np.isnan(value).all():
        return Estimate(value, value, value)
    n_items = n_items_of_rarer_class(labels, clusters)
    if n_items < 2:
        return Estimate(value, np.zeros_like(value), np.ones_like(value))
    error = clustered_standard_error(placements(scores, labels, value), clusters)
    return logit_interval(value, t_quantile(n_items - 1) * error, n_items)


def placements(scores: Floats, labels: Labels, centre: Floats | float = 0.5) -> Floats:
    """Each answer's contribution (..., n) to AUROC - `centre` (...).

    The share of the other class that the answer beats, less `centre`, over the size of its class.
    """
    positive = labels == 1
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    ranks = tied_ranks(scores)
    placed = np.empty_like(ranks)
    within = tied_ranks(scores[..., positive])
    placed[..., positive] = (ranks[..., positive] - within) / n_neg
    within = tied_ranks(scores[..., ~positive])
    placed[..., ~positive] = 1 - (ranks[..., ~positive] - within) / n_pos
    return (placed - np.asarray(centre)[..., None]) * np.where(positive, 1 / n_pos, 1 / n_neg)


def n_items_of_rarer_class(labels: Labels, clusters: NDArray[np.generic]) -> int:
    """The number of items in the class that has fewer of them."""
    positive = labels == 1
    return min(len(np.unique(clusters[positive])), len(np.unique(clusters[~positive])))


def simultaneous_intervals(
    estimate: Estimate, n_rarer_items: NDArray[np.integer], n_intervals: int
) -> Estimate:
    """Widens intervals of `clustered_auroc` so that all `n_intervals` hold with 95% probability.

    Each is widened on the logit scale to the level 0.95**(1 / n_intervals) (Sidak 1967,
    https://doi.org/10.1080/01621459.1967.10482935), which suffices under any dependence.
    `n_rarer_items` is each cell's `n_items_of_rarer_class`.
    """
    tail = (1 - CONFIDENCE ** (1 / n_intervals)) / 2
    degrees_of_freedom = np.maximum(n_rarer_items - 1, 1)
    wider = t_quantile(degrees_of_freedom, n_intervals) / t_quantile(degrees_of_freedom)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ends = (estimate.value, estimate.low, estimate.high)
        value, low, high = (np.log(end) - np.log1p(-end) for end in ends)
        low = 1 / (1 + np.exp(wider * (value - low) - value))
        high = 1 / (1 + np.exp(-wider * (high - value) - value))
        # Perfectly ordered classes: the tail probability is `tail` instead of 0.025.
        power = np.log(tail) / np.log((1 - CONFIDENCE) / 2)
        at_zero = np.where(estimate.low == 0, 0, low)
        low = np.where(estimate.value == 1, estimate.low**power, at_zero)
        high = np.where(estimate.value == 0, 1 - (1 - estimate.high) ** power, high)
    high = np.where(estimate.high == 1, 1, high)
    return Estimate(estimate.value, low, high)
