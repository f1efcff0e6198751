"""Area under the ROC curve within strata: only answers of one item, or one prompt template, are
compared, so that what differs between strata cannot be read off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.auroc import LEAST_ITEMS, n_items_of_rarer_class
from sycophancy_steering.statistics.estimates import (
    Estimate,
    clustered_standard_error,
    logit_interval,
    t_quantile,
    undefined,
)
from sycophancy_steering.statistics.ranks import tied_ranks
from sycophancy_steering.statistics.sign_flips import Items, product_influences

Strata = NDArray[np.generic]
"""(n,) names the item or template within which each answer is compared."""
MOST_COMPARED = 2**12
"""Pairs of a stratum that are compared one by one: a tenth of the time of sorting for the few
answers of an item, and as much memory for the scores of many vectors."""


@dataclass(frozen=True)
class StratifiedAuroc:
    """AUROCs within strata, and what they rest on."""

    auroc: Estimate
    n_strata: int
    """With answers of both classes."""
    n_items: int
    """With answers in such strata."""
    n_pairs: int
    """Of a sycophantic and another answer in one stratum."""


def clustered_stratified_auroc(
    scores: Floats, labels: Labels, strata: Strata, clusters: Items
) -> StratifiedAuroc:
    """`stratified_auroc` with an interval that allows correlated answers about one item.

    Items may cross strata. The variance sums each item's part of `stratified_influences`, over all
    strata; the interval is Student's t on the logit scale, with `degrees_of_freedom`, and
    `logit_interval`'s at 0 and 1. With fewer than two items of either class in strata with both it
    is 0 to 1; NaN without a pair.
    """
    informative = informative_answers(labels, strata)
    scores = scores[..., informative]
    labels, strata, clusters = labels[informative], strata[informative], clusters[informative]
    n_strata, n_items = len(np.unique(strata)), len(np.unique(clusters))
    if not len(labels):
        return StratifiedAuroc(undefined(scores.shape[:-1]), 0, 0, 0)
    value, influence = stratified_influences(scores, labels, strata, clusters)
    n_pairs = int(_opponents(labels, _codes(strata)).sum()) // 2
    n_rarer = n_items_of_rarer_class(labels, clusters)
    if n_rarer < 2:
        interval = Estimate(value, np.zeros_like(value), np.ones_like(value))
    else:
        quantile = t_quantile(degrees_of_freedom(labels, strata, clusters))
        half_width = quantile * clustered_standard_error(influence, clusters)
        interval = logit_interval(value, half_width, n_rarer)
    return StratifiedAuroc(interval, n_strata, n_items, n_pairs)


def stratified_auroc_difference(
    scores: Floats, baseline: Floats, labels: Labels, strata: Strata, clusters: Items
) -> Estimate:
    """Stratified AUROC of each of `scores` (..., n) minus that of `baseline` (n,).

    Errors that both share cancel, as in `auroc_difference`: the variance is that of the
    differences between the answers' influences, summed by item. The interval is Student's t with
    `degrees_of_freedom`; it has no width where both order all pairs alike, and is NaN with fewer
    than `LEAST_ITEMS` items of either class in strata with both.
    """
    informative = informative_answers(labels, strata)
    scores, baseline = scores[..., informative], baseline[informative]
    labels, strata, clusters = labels[informative], strata[informative], clusters[informative]
    if not len(labels):
        return undefined(scores.shape[:-1])
    value, influence = stratified_influences(scores, labels, strata, clusters)
    value_baseline, influence_baseline = stratified_influences(baseline, labels, strata, clusters)
    value = value - value_baseline
    if n_items_of_rarer_class(labels, clusters) < LEAST_ITEMS:
        nan = np.full_like(value, np.nan)
        return Estimate(value, nan, nan)
    error = clustered_standard_error(influence - influence_baseline, clusters)
    half_width = t_quantile(degrees_of_freedom(labels, strata, clusters)) * error
    return Estimate(value, np.clip(value - half_width, -1, 1), np.clip(value + half_width, -1, 1))


def stratified_auroc(scores: Floats, labels: Labels, strata: Strata) -> Floats:
    """Share of the pairs of a sycophantic and another answer in one stratum that are in order.

    A tie counts half, and strata are weighted by their number of pairs. NaN where no stratum has
    both classes.
    """
    codes = _codes(strata)
    n_pairs = _opponents(labels, codes).sum() / 2
    if not n_pairs:
        return np.full(np.shape(scores)[:-1], np.nan)
    return _pairs_in_order(scores, labels, codes).sum(-1) / (2 * n_pairs)


def stratified_influences(
    scores: Floats, labels: Labels, strata: Strata, clusters: Items
) -> tuple[Floats, Floats]:
    """The stratified AUROC (...) and each answer's influence (..., n) on it, to be summed by item.

    An answer's placement among the other class of its stratum, less the AUROC, over the number of
    pairs (delta method for the ratio; Obuchowski 1997, https://doi.org/10.2307/2533958, for one
    stratum). A pair of two items counts for both, as leaving out either removes it; a pair within
    an item counts once, half for either answer.
    """
    codes, within_item = _codes(strata), _codes_within_items(strata, clusters)
    n_pairs = _opponents(labels, codes).sum() / 2
    in_order = _pairs_in_order(scores, labels, codes)
    value = in_order.sum(-1) / (2 * n_pairs)
    counted = in_order - _pairs_in_order(scores, labels, within_item) / 2
    return value, (counted - value[..., None] * _pairs_counted(labels, strata, clusters)) / n_pairs


def degrees_of_freedom(labels: Labels, strata: Strata, clusters: Items) -> float:
    """One less than the items of the rarer class, or than the effective number of all items.

    Where few items have most of the pairs, the variance is known as from few items: the effective
    number is Kish's (1965, Survey Sampling), with each item's number of pairs as its weight (as in
    Carter, Schnepel and Steigerwald 2017, https://doi.org/10.1162/REST_a_00639). At least 1.
    """
    weights = np.bincount(_codes(clusters), _pairs_counted(labels, strata, clusters))
    effective = weights.sum() ** 2 / (weights**2).sum()
    return max(min(n_items_of_rarer_class(labels, clusters), float(effective)) - 1, 1)


def item_stratified_influences(
    scores: Floats, labels: Labels, strata: Strata, clusters: Items, all_items: Items
) -> tuple[Floats, Floats]:
    """Statistics (k,) of stratified AUROC - 0.5 of `scores` (k, n), and their items' influences.

    (k, len(all_items)) of length one, a column for each of the sorted `all_items`; 0 where no
    stratum has both classes. For `sign_flips`: `product_influences` of ranks and labels, whose sum
    over a stratum is its number of pairs times AUROC - 0.5.
    """
    informative = informative_answers(labels, strata)
    if not informative.any():
        zeros = np.zeros((len(scores), len(all_items)))
        return zeros.sum(1), zeros
    strata, clusters = strata[informative], clusters[informative]
    codes = _codes(strata)
    sizes, n_positive = np.bincount(codes), np.bincount(codes, labels[informative] == 1)
    x = _ranks_within(scores[:, informative], codes) - (sizes[codes] + 1) / 2
    y = (labels[informative] == 1) - (n_positive / sizes)[codes]
    return product_influences(x, y, strata, clusters, all_items)


def informative_answers(labels: Labels, strata: Strata) -> NDArray[np.bool_]:
    """Which answers (n,) share their stratum with one of the other class."""
    return _opponents(labels, _codes(strata)) > 0


def enough_items(labels: Labels, strata: Strata, clusters: Items) -> bool:
    """Whether at least `LEAST_ITEMS` items of either class are in strata with both."""
    informative = informative_answers(labels, strata)
    return n_items_of_rarer_class(labels[informative], clusters[informative]) >= LEAST_ITEMS


def _codes(names: NDArray[np.generic]) -> NDArray[np.intp]:
    """The names (n,) as numbers from 0."""
    return np.unique(names, return_inverse=True)[1]


def _codes_within_items(strata: Strata, clusters: Items) -> NDArray[np.intp]:
    """The pairs of stratum and item as numbers from 0."""
    return _codes(_codes(strata) * len(clusters) + _codes(clusters))


def _pairs_counted(labels: Labels, strata: Strata, clusters: Items) -> Floats:
    """The number of each answer's pairs (n,), those within its item counted half."""
    within_item = _opponents(labels, _codes_within_items(strata, clusters))
    return _opponents(labels, _codes(strata)) - within_item / 2


def _opponents(labels: Labels, codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """The number of answers (n,) of the other class in each answer's stratum."""
    positive = labels == 1
    n_positive = np.bincount(codes, positive).astype(np.intp)[codes]
    return np.where(positive, np.bincount(codes)[codes] - n_positive, n_positive)


def _pairs_in_order(scores: Floats, labels: Labels, codes: NDArray[np.intp]) -> Floats:
    """Of each answer's pairs (..., n) with the other class of its stratum, those in order."""
    in_order = np.zeros(np.shape(scores))
    by_stratum = np.argsort(codes, kind="stable")
    for stratum in np.split(by_stratum, np.cumsum(np.bincount(codes))[:-1]):
        positive = labels[stratum] == 1
        above, below = stratum[positive], stratum[~positive]
        if len(above) and len(below):
            counts = _counts_in_order(scores[..., above], scores[..., below])
            in_order[..., above], in_order[..., below] = counts
    return in_order


def _counts_in_order(above: Floats, below: Floats) -> tuple[Floats, Floats]:
    """For each of `above` (..., p), how many of `below` (..., q) it beats, ties half; for each of
    `below`, how many of `above` beat it."""
    p, q = above.shape[-1], below.shape[-1]
    if p * q <= MOST_COMPARED:
        one, two = above[..., :, None], below[..., None, :]
        halves = (one > two).astype(np.int8) + (one >= two)
        return halves.sum(-1) / 2, halves.sum(-2) / 2
    ranks = tied_ranks(np.concatenate([above, below], axis=-1))
    return ranks[..., :p] - tied_ranks(above), p - (ranks[..., p:] - tied_ranks(below))


def _ranks_within(scores: Floats, codes: NDArray[np.intp]) -> Floats:
    """`tied_ranks` (..., n) of the scores within each stratum."""
    # Ranks of all scores, moved apart by stratum, sort by stratum first.
    ranks = tied_ranks(tied_ranks(scores) + codes * scores.shape[-1])
    sizes = np.bincount(codes)
    return ranks - (np.cumsum(sizes) - sizes)[codes]
