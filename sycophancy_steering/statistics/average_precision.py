"""Area under the precision-recall curve, with intervals clustered by item. See `statistics.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import (
    LEVEL,
    Estimate,
    clustered_error,
    items_of_rarer,
    runs,
    students_t,
)


def average_precision(
    scores: Floats, labels: NDArray[np.integer], clusters: NDArray[np.generic]
) -> Estimate:
    """Mean, over sycophantic answers, of the precision among answers that score as high or higher.

    Equals share one threshold, as in scikit-learn's `average_precision_score`. The error is the
    item-wise sum of the influence of each answer's weight on the estimate (the infinitesimal
    jackknife, Efron 1982), the interval Student's t on the logit scale (Boyd et al. 2013,
    https://doi.org/10.1007/978-3-642-40994-3_29); where all is in order, that of `clustered_auroc`.
    NaN with one class only.
    """
    scores = np.asarray(scores, dtype=np.float64)
    positive = (labels == 1).astype(np.float64)
    if positive.min(initial=1) == positive.max(initial=0):
        nothing = np.full(scores.shape[:-1], np.nan)
        return Estimate(nothing, nothing, nothing)
    order = np.argsort(-scores, axis=-1, kind="stable")
    y = positive[order]
    first, last = runs(np.take_along_axis(scores, order, axis=-1))
    hits = np.take_along_axis(np.cumsum(y, -1), last, -1)  # at the threshold of each answer
    above = last + 1.0
    precision = hits / above
    value = (y * precision).sum(-1) / positive.sum()

    def at_or_below(each: Floats) -> Floats:
        """Sum of `each` over sycophantic answers that score as low as each answer, or lower."""
        sums = np.flip(np.cumsum(np.flip(y * each, -1), -1), -1)
        return np.take_along_axis(sums, first, -1)

    gain = at_or_below((above - hits) / above**2)
    loss = at_or_below(hits / above**2)
    ordered = (y * (precision - value[..., None] + gain) - (1 - y) * loss) / positive.sum()
    pull = np.empty_like(ordered)
    np.put_along_axis(pull, order, ordered, -1)
    rarer = items_of_rarer(labels, clusters)
    if rarer < 2:
        return Estimate(value, np.zeros_like(value), np.ones_like(value))
    with np.errstate(divide="ignore", invalid="ignore"):
        step = students_t(rarer - 1) * clustered_error(pull, clusters) / (value * (1 - value))
        logit = np.log(value) - np.log1p(-value)
        low, high = 1 / (1 + np.exp(step - logit)), 1 / (1 + np.exp(-step - logit))
    low = np.where(value == 1, ((1 - LEVEL) / 2) ** (1 / rarer), low)
    return Estimate(value, low, np.where(value == 1, 1.0, high))
