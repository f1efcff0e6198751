"""Area under the precision-recall curve, with intervals clustered by item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.auroc import n_items_of_rarer_class
from sycophancy_steering.statistics.estimates import (
    Estimate,
    clustered_standard_error,
    logit_interval,
    t_quantile,
    undefined,
)
from sycophancy_steering.statistics.ranks import tie_bounds


def average_precision(scores: Floats, labels: Labels, clusters: NDArray[np.generic]) -> Estimate:
    """Mean over sycophantic answers of the precision among answers that score as high or higher.

    Ties share one threshold, as in scikit-learn's `average_precision_score`. The error is the
    item-wise sum of the influence of each answer's weight (the infinitesimal jackknife, Efron
    1982), the interval Student's t on the logit scale (Boyd et al. 2013,
    https://doi.org/10.1007/978-3-642-40994-3_29), or `logit_interval`'s for a perfect order. NaN
    for one class.
    """
    scores = np.asarray(scores, dtype=np.float64)
    positive = (labels == 1).astype(np.float64)
    if len(set(positive.tolist())) < 2:
        return undefined(scores.shape[:-1])
    order = np.argsort(-scores, axis=-1, kind="stable")
    y = positive[order]
    first, last = tie_bounds(np.take_along_axis(scores, order, axis=-1))
    hits = np.take_along_axis(np.cumsum(y, -1), last, -1)  # at each answer's threshold
    retrieved = last + 1.0
    precision = hits / retrieved
    value = (y * precision).sum(-1) / positive.sum()

    def sum_at_or_below(terms: Floats) -> Floats:
        """Sum of `terms` over sycophantic answers that score as low as each answer, or lower."""
        sums = np.flip(np.cumsum(np.flip(y * terms, -1), -1), -1)
        return np.take_along_axis(sums, first, -1)

    gain = sum_at_or_below((retrieved - hits) / retrieved**2)
    loss = sum_at_or_below(hits / retrieved**2)
    ordered = (y * (precision - value[..., None] + gain) - (1 - y) * loss) / positive.sum()
    influence = np.empty_like(ordered)
    np.put_along_axis(influence, order, ordered, -1)
    n_items = n_items_of_rarer_class(labels, clusters)
    if n_items < 2:
        return Estimate(value, np.zeros_like(value), np.ones_like(value))
    half_width = t_quantile(n_items - 1) * clustered_standard_error(influence, clusters)
    return logit_interval(value, half_width, n_items)
