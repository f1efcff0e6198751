"""Correlation of read-outs with labels, with intervals clustered by item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.estimates import (
    Estimate,
    clustered_standard_error,
    t_quantile,
    undefined,
)


def clustered_correlation(
    scores: Floats, labels: Labels, clusters: NDArray[np.generic]
) -> Estimate:
    """Point-biserial correlation (Pearson's, of scores and labels), interval clustered by item.

    The error sums Pearson's influence function by item; the interval is Student's t on Fisher's z
    scale. NaN where scores or labels are constant; -1 to 1 for fewer than three items.
    """
    scores = np.asarray(scores, dtype=np.float64)
    n = scores.shape[-1]
    n_items = len(np.unique(clusters))
    if n < 3 or labels.min() == labels.max():
        return undefined(scores.shape[:-1])
    sd = scores.std(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(sd > 0, (scores - scores.mean(-1, keepdims=True)) / sd, np.nan)
        y = (labels - labels.mean()) / labels.std()
        value = np.clip((x * y).mean(-1), -1, 1)
        influence = (x * y - value[..., None] / 2 * (x**2 + y**2)) / n
        if n_items < 3:
            low, high = np.full_like(value, -1.0), np.full_like(value, 1.0)
        else:
            z = np.arctanh(value)
            error = clustered_standard_error(influence, clusters) / (1 - value**2)
            half_width = t_quantile(n_items - 1)
            low, high = np.tanh(z - half_width * error), np.tanh(z + half_width * error)
            exact = np.abs(value) == 1
            low, high = np.where(exact, value, low), np.where(exact, value, high)
    missing = np.isnan(value)
    return Estimate(value, np.where(missing, np.nan, low), np.where(missing, np.nan, high))
