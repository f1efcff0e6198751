"""Recall at a fixed false-alarm rate: a threshold from neutral chats, applied to other answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.estimates import CONFIDENCE, Estimate, t_quantile

N_RESAMPLES = 1000


def false_alarm_threshold(neutral: Floats, false_alarm_rate: float) -> Floats:
    """The lowest of the scores of neutral chats (..., m) that few enough of them exceed.

    At most the share `false_alarm_rate` of `neutral` is above it. NaN without neutral chats.
    """
    m = np.shape(neutral)[-1]
    if not m:
        return np.full(np.shape(neutral)[:-1], np.nan)
    n_above = min(int(false_alarm_rate * m + 1e-9), m - 1)  # 0.29 * 100 is below 29
    return np.partition(neutral, m - 1 - n_above, axis=-1)[..., m - 1 - n_above]


def recall_at_false_alarm_rate(
    positives: Floats,
    neutral: Floats,
    clusters: NDArray[np.generic],
    false_alarm_rate: float,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Share of the scores `positives` (..., n) above the threshold from `neutral` (..., m).

    `clusters` (n,) are the items of the positives; neutral chats are independent. The interval is
    the central 95% when items are resampled, each time with another threshold. Of m neutral chats
    a binomial number exceeds the quantile of their population, so the threshold is drawn from
    between the two scores that leave as many above (the argument of the exact interval of a
    quantile, Thompson 1936, https://doi.org/10.1214/aoms/1177732502). Resampled chats would never
    exceed the highest score, which bounds the quantile from below only: the interval starts at 0
    where m is too small for the rate (below about 300 at 1% and 60 at 5%, more with few items).

    At 0 and 1 the interval includes `logit_interval`'s. It is 0 to 1 for fewer than two items; NaN
    without positives or neutral chats.
    """
    positives, neutral = np.asarray(positives, np.float64), np.asarray(neutral, np.float64)
    n, m = positives.shape[-1], neutral.shape[-1]
    if not n or not m:
        nan = np.full(positives.shape[:-1], np.nan)
        return Estimate(nan, nan, nan)
    value = (positives > false_alarm_threshold(neutral, false_alarm_rate)[..., None]).mean(-1)
    names, member = np.unique(clusters, return_inverse=True)
    n_items = len(names)
    if n_items < 2:
        return Estimate(value, np.zeros_like(value), np.ones_like(value))
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_items, np.full(n_items, 1 / n_items), n_resamples)[:, member]
    # With k above the quantile, it is between the k-th and the next of the descending scores.
    rank = rng.binomial(m, false_alarm_rate, n_resamples) + rng.integers(0, 2, n_resamples)
    infinite = np.full((*neutral.shape[:-1], 1), np.inf)
    descending = np.concatenate([infinite, -np.sort(-neutral, axis=-1), -infinite], axis=-1)
    resampled = np.empty((*value.shape, n_resamples))
    for index in np.ndindex(value.shape):  # one read-out at a time: (n_resamples, n) in memory
        above = positives[index] > descending[index][rank, None]
        resampled[index] = (weights * above).sum(-1) / weights.sum(-1)
    # Resampled means of few items vary too little, and by a normal instead of a t: the expanded
    # percentile interval (Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789).
    tail = ndtr(-t_quantile(n_items - 1) * np.sqrt(n_items / (n_items - 1)))
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=-1)
    bound = ((1 - CONFIDENCE) / 2) ** (1 / n_items)
    low = np.where(value == 1, np.minimum(low, bound), np.minimum(low, value))
    high = np.where(value == 0, np.maximum(high, 1 - bound), np.maximum(high, value))
    return Estimate(value, low, high)
