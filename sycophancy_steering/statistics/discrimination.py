"""Discrimination and association with intervals clustered by item. Pure functions of arrays.

Throughout, `scores` has shape (..., n): any number of read-outs of the same n answers, scored at
once; `labels` (n,) is 1 for a sycophantic answer and 0 for another; `clusters` (n,) names the item
each answer is about. Results have shape (...).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.grader_error import GraderError

LEVEL = 0.95
DEALT = 25
"""Deals of labels that are in memory."""
RANKED = 2**18
"""Scores that are ranked at once."""


@dataclass(frozen=True)
class Estimate:
    """Estimates and their 95% intervals, arrays of one shape; NaN where there is no estimate."""

    value: Floats
    low: Floats
    high: Floats


def midranks(scores: Floats) -> Floats:
    """Ranks from 1 along the last axis; equals share the mean of theirs, and a NaN makes all NaN.

    `scipy.stats.rankdata`, whose package takes longer to import than most stages to run.
    """
    scores = np.asarray(scores, dtype=np.float64)
    order, in_order = _ranks_in_order(scores)
    ranks = np.empty(scores.shape)
    np.put_along_axis(ranks, order, in_order, axis=-1)
    return ranks


def _ranks_in_order(scores: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Which of the last axis comes where, and the rank of what comes there."""
    order = np.argsort(scores, axis=-1)
    ordered = np.take_along_axis(scores, order, axis=-1)
    first, last = runs(ordered)
    ranks = (first + last) / 2 + 1
    ranks[np.isnan(ordered[..., -1:]).any(-1)] = np.nan  # they come last
    return order, ranks


def runs(ordered: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each place of sorted values, the first and the last place of the run of its equals."""
    n = ordered.shape[-1]
    place = np.broadcast_to(np.arange(n), ordered.shape)
    differ = ordered[..., 1:] != ordered[..., :-1]
    if differ.all():  # as projections mostly do
        return place, place
    starts = np.ones(ordered.shape, dtype=bool)
    starts[..., 1:] = differ
    ends = np.ones(ordered.shape, dtype=bool)
    ends[..., :-1] = starts[..., 1:]
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=-1)
    last = np.flip(np.minimum.accumulate(np.flip(np.where(ends, place, n), -1), axis=-1), -1)
    return first, last


def auroc(scores: Floats, labels: NDArray[np.integer]) -> Floats:
    """P(score of a sycophantic answer > score of another) + half of P(equal); NaN without both."""
    positive = labels == 1
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if not n_pos or not n_neg:
        return np.full(np.shape(scores)[:-1], np.nan)
    if scores.ndim > 1 and scores.size > RANKED and len(scores) > 1:
        return np.concatenate([auroc(part, labels) for part in np.array_split(scores, 2)])
    order, ranks = _ranks_in_order(scores)
    return ((ranks * positive[order]).sum(-1) - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)


def clustered_auroc(
    scores: Floats, labels: NDArray[np.integer], clusters: NDArray[np.generic]
) -> Estimate:
    """`auroc` with an interval that allows answers about one item to be alike.

    The variance is that of Obuchowski (1997, https://doi.org/10.2307/2533958), DeLong's for
    clustered data: each answer's placement among the other class, summed by item. The interval is
    Student's t on the logit scale, its degrees of freedom one less than the items of the rarer
    class. Where every pair is ordered alike (AUROC 0 or 1) there is no variance to work with, and
    the bound is the AUROC p at which that happens once in 40 times for m independent pairs,
    p**m = 0.025, m the items of the rarer class. With fewer than two items of either class the
    interval is 0 to 1.
    """
    value = auroc(scores, labels)
    if np.isnan(value).all():
        return Estimate(value, value, value)
    error = clustered_error(placements(scores, labels, value), clusters)
    rarer = items_of_rarer(labels, clusters)
    if rarer < 2:
        return Estimate(value, np.zeros_like(value), np.ones_like(value))
    reach = students_t(rarer - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logit = np.log(value) - np.log1p(-value)
        step = reach * error / (value * (1 - value))
        low, high = 1 / (1 + np.exp(-(logit - step))), 1 / (1 + np.exp(-(logit + step)))
    bound = ((1 - LEVEL) / 2) ** (1 / rarer)
    low = np.where(value == 1, bound, np.where(value == 0, 0.0, low))
    high = np.where(value == 0, 1 - bound, np.where(value == 1, 1.0, high))
    return Estimate(value, low, high)


def placements(scores: Floats, labels: NDArray[np.integer], centre: Floats | float = 0.5) -> Floats:
    """(..., n): what each answer adds to the AUROC, beyond `centre` (...): the share of the other
    class that it beats, over the number of its own class."""
    positive = labels == 1
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    ranks = midranks(scores)
    placed = np.empty_like(ranks)
    within = midranks(scores[..., positive])
    placed[..., positive] = (ranks[..., positive] - within) / n_neg
    within = midranks(scores[..., ~positive])
    placed[..., ~positive] = 1 - (ranks[..., ~positive] - within) / n_pos
    return (placed - np.asarray(centre)[..., None]) * np.where(positive, 1 / n_pos, 1 / n_neg)


def items_of_rarer(labels: NDArray[np.integer], clusters: NDArray[np.generic]) -> int:
    """How many items the class with fewer of them has."""
    positive = labels == 1
    return min(len(np.unique(clusters[positive])), len(np.unique(clusters[~positive])))


def simultaneous(area: Estimate, rarer: NDArray[np.integer], together: int) -> Estimate:
    """AUROCs with intervals that, with 95% probability, *all* hold the truth, `together` of them.

    The intervals of `area`, each for its cell alone, widened on the logit scale to the level
    0.95**(1/together) (Sidak 1967, https://doi.org/10.1080/01621459.1967.10482935), which is enough
    however the cells hang together. `rarer` holds each cell's `items_of_rarer`.
    """
    tail = (1 - LEVEL ** (1 / together)) / 2
    freedom = np.maximum(rarer - 1, 1)
    wider = students_t(freedom, together) / students_t(freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (np.log(x) - np.log1p(-x) for x in (area.value, area.low, area.high))
        low = 1 / (1 + np.exp(wider * (value - low) - value))
        high = 1 / (1 + np.exp(-wider * (high - value) - value))
        # Where every pair is ordered alike: once in 1 / tail times instead of once in 40.
        rarely = np.log(tail) / np.log((1 - LEVEL) / 2)
        low = np.where(area.value == 1, area.low**rarely, np.where(area.low == 0, 0, low))
        high = np.where(area.value == 0, 1 - (1 - area.high) ** rarely, high)
    high = np.where(area.high == 1, 1, high)
    return Estimate(area.value, low, high)


def clustered_correlation(
    scores: Floats, labels: NDArray[np.integer], clusters: NDArray[np.generic]
) -> Estimate:
    """Point-biserial correlation (Pearson's, of scores and labels), interval clustered by item.

    The error is the item-wise sum of Pearson's influence function, taken to Fisher's z scale. NaN
    where either side is constant; the interval is -1 to 1 for fewer than three items.
    """
    scores = np.asarray(scores, dtype=np.float64)
    n = scores.shape[-1]
    items = len(np.unique(clusters))
    if n < 3 or labels.min() == labels.max():
        nothing = np.full(scores.shape[:-1], np.nan)
        return Estimate(nothing, nothing, nothing)
    spread = scores.std(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(spread > 0, (scores - scores.mean(-1, keepdims=True)) / spread, np.nan)
        y = (labels - labels.mean()) / labels.std()
        value = np.clip((x * y).mean(-1), -1, 1)
        pull = (x * y - value[..., None] / 2 * (x**2 + y**2)) / n
        if items < 3:
            low, high = np.full_like(value, -1.0), np.full_like(value, 1.0)
        else:
            z, error = np.arctanh(value), clustered_error(pull, clusters) / (1 - value**2)
            reach = students_t(items - 1)
            low, high = np.tanh(z - reach * error), np.tanh(z + reach * error)
            exact = np.abs(value) == 1
            low, high = np.where(exact, value, low), np.where(exact, value, high)
    undefined = np.isnan(value)
    return Estimate(value, np.where(undefined, np.nan, low), np.where(undefined, np.nan, high))


def without_label_noise(area: Estimate, noise: GraderError) -> Estimate:
    """What an AUROC against noisy labels says of the AUROC against right ones.

    If a read-out tells no more of an error than the truth does, each class is a mixture, and
    AUROC - 0.5 shrinks by 1 - a - b, a and b the shares of wrong labels among the positive and the
    negative (Menon et al. 2015, http://proceedings.mlr.press/v37/menon15.html). The interval adds
    both uncertainties, each on its own side (Zou and Donner 2008,
    https://doi.org/10.1002/sim.3095); it is 0 to 1 where the labels may be no better than chance.
    """
    kept, variance = _kept(noise), 0.0
    for wrong, n in (
        (noise.positive_wrong, noise.positive),
        (noise.negative_wrong, noise.negative),
    ):
        share = (wrong + 0.5) / (n + 1)  # Jeffreys: none wrong of ten is not certainty
        variance += share * (1 - share) / (n + 1)
    seen = noise.positive + noise.negative
    reach = students_t(seen) if seen else np.inf
    if kept <= reach * np.sqrt(variance):
        known = ~np.isnan(area.value)
        low, half, high = (np.where(known, each, np.nan) for each in (0.0, 0.5, 1.0))
        return Estimate(half, low, high)
    gap = area.value - 0.5
    stretch = reach * np.sqrt(variance) * np.abs(gap) / kept**2
    value = 0.5 + gap / kept * (1 - variance / kept**2)  # 1/kept is on average too large
    below = np.hypot((area.value - area.low) / kept, stretch)
    above = np.hypot((area.high - area.value) / kept, stretch)
    return Estimate(
        np.clip(value, 0, 1), np.clip(value - below, 0, 1), np.clip(value + above, 0, 1)
    )


def _kept(noise: GraderError) -> float:
    """The share of AUROC - 0.5 that noisy labels leave."""
    pairs = (noise.positive_wrong, noise.positive), (noise.negative_wrong, noise.negative)
    return 1.0 - sum(wrong / n if n else 0.5 for wrong, n in pairs)


def stretched(areas: Floats, noise: GraderError) -> Floats:
    """AUROCs under the null, on the scale of `without_label_noise`'s, to stand beside them."""
    kept = _kept(noise)
    if kept <= 0:
        return np.where(np.asarray(areas) < 0.5, 0.0, 1.0)
    return np.clip(0.5 + (np.asarray(areas) - 0.5) / kept, 0, 1)


def shuffled_auroc(
    scores: Floats, labels: NDArray[np.integer], shuffles: int, seed: int
) -> tuple[Floats, Floats]:
    """The range that holds 95% of the AUROCs when the labels are dealt out anew at random."""
    n_pos, n_neg = int((labels == 1).sum()), int((labels != 1).sum())
    if not n_pos or not n_neg:
        nothing = np.full(np.shape(scores)[:-1], np.nan)
        return nothing, nothing
    draw = np.random.default_rng(seed)
    ranks, found = midranks(scores), []
    for start in range(0, shuffles, DEALT):
        same = np.tile(labels, (min(DEALT, shuffles - start), 1))
        found.append(_dealt_auroc(ranks, draw.permuted(same, axis=1)))
    return middle(np.concatenate(found, axis=-1))


def _dealt_auroc(ranks: Floats, dealt: NDArray[np.integer]) -> Floats:
    """AUROCs (..., deals) of scores with `ranks` (..., n) against each row of `dealt` (deals, n).

    Every deal has as many sycophantic answers as the first. One product of matrices, and exact:
    ranks are halves.
    """
    positive = (dealt == 1).astype(np.float64)
    n_pos = positive[0].sum()
    n_neg = positive.shape[1] - n_pos
    return (ranks @ positive.T - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)


def students_t(freedom: NDArray[np.integer] | int, together: int = 1) -> Floats:
    """How many standard errors a 95% interval reaches to each side: of so many intervals
    `together`, all hold the truth (see `simultaneous`)."""
    return stdtrit(freedom, (1 + LEVEL ** (1 / together)) / 2)


def middle(values: Floats) -> tuple[Floats, Floats]:
    """The bounds of the middle 95% of the values along the last axis."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return low, high


def clustered_error(pull: Floats, clusters: NDArray[np.generic]) -> Floats:
    """Standard error of a sum of `pull` (..., n) whose terms hang together within clusters."""
    names, member = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return np.full(pull.shape[:-1], np.nan)
    sums = np.zeros((*pull.shape[:-1], len(names)))
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(len(names)))
    np.add.reduceat(pull[..., order], starts, axis=-1, out=sums)
    return np.sqrt((sums**2).sum(-1) * len(names) / (len(names) - 1))
