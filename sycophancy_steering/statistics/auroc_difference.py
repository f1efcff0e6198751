"""Differences between AUROCs on the same answers, with intervals clustered by item."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.auroc import (
    LEAST_ITEMS,
    auroc,
    n_items_of_rarer_class,
    placements,
)
from sycophancy_steering.statistics.estimates import (
    Estimate,
    clustered_standard_error,
    t_quantile,
)


def auroc_difference(
    scores: Floats, baseline: Floats, labels: Labels, clusters: NDArray[np.generic]
) -> Estimate:
    """AUROC of each of `scores` (k, n) minus that of `baseline` (n,).

    Errors that both share cancel: the variance is that of the differences between the answers'
    placements, summed by item (DeLong et al. 1988, https://doi.org/10.2307/2531595, clustered as
    in Obuchowski 1997). The interval is Student's t; it has no width where both order all pairs
    alike, and is NaN with fewer than `LEAST_ITEMS` items of either class.
    """
    value_scores, value_baseline = auroc(scores, labels), auroc(baseline, labels)
    value = value_scores - value_baseline
    n_items = n_items_of_rarer_class(labels, clusters)
    if n_items < LEAST_ITEMS:
        nan = np.full_like(value, np.nan)
        return Estimate(value, nan, nan)
    influence = placements(scores, labels, value_scores)
    influence = influence - placements(baseline, labels, value_baseline)
    half_width = t_quantile(n_items - 1) * clustered_standard_error(influence, clusters)
    return Estimate(value, np.clip(value - half_width, -1, 1), np.clip(value + half_width, -1, 1))


def auroc_differences_from(scores: pl.DataFrame, baseline: str) -> pl.DataFrame:
    """`auroc_difference` of every other `vector` from the vector `baseline`, a row each.

    `scores` has a row for each answer (`id`, `label`, `item`) and vector (`projection`). Returns
    `baseline`, `vector`, `difference`, `difference_low`, `difference_high`.
    """
    wide = scores.pivot("vector", index=["id", "label", "item"], values="projection")
    names = [name for name in wide.columns[3:] if name != baseline]
    estimate = auroc_difference(
        wide.select(names).to_numpy().T,
        wide[baseline].to_numpy(),
        wide["label"].to_numpy(),
        wide["item"].to_numpy(),
    )
    return pl.DataFrame({"vector": names, **estimate.columns("difference")}).select(
        pl.lit(baseline).alias("baseline"), "*"
    )
