"""Two ways of making vectors on the same answers: how far their AUROCs are apart."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import (
    Estimate,
    auroc,
    clustered_error,
    items_of_rarer,
    placements,
    students_t,
)


def auroc_difference(
    scores: Floats, baseline: Floats, labels: NDArray[np.integer], clusters: NDArray[np.generic]
) -> Estimate:
    """AUROC of each of `scores` (k, n) minus that of `baseline` (n,), on the same answers.

    What both get wrong together cancels: the error is that of the differences of the answers'
    placements, summed by item (DeLong et al. 1988, https://doi.org/10.2307/2531595, clustered as
    Obuchowski's). The interval is Student's t; it is one point where both order all pairs alike.
    """
    areas, base = auroc(scores, labels), auroc(baseline, labels)
    value = areas - base
    pull = placements(scores, labels, areas) - placements(baseline, labels, base)
    rarer = items_of_rarer(labels, clusters)
    if rarer < 2 or np.isnan(value).all():
        nothing = np.full_like(value, np.nan)
        return Estimate(value, nothing, nothing)
    reach = students_t(rarer - 1) * clustered_error(pull, clusters)
    return Estimate(value, np.clip(value - reach, -1, 1), np.clip(value + reach, -1, 1))


def against(scores: pl.DataFrame, baseline: str) -> pl.DataFrame:
    """For each `vector`, its AUROC minus that of the vector `baseline`.

    `scores` holds a row an answer (`id`, `label`, `item`) and vector (`projection`).
    """
    wide = scores.pivot("vector", index=["id", "label", "item"], values="projection")
    names = [name for name in wide.columns[3:] if name != baseline]
    found = auroc_difference(
        wide.select(names).to_numpy().T,
        wide[baseline].to_numpy(),
        wide["label"].to_numpy(),
        wide["item"].to_numpy(),
    )
    ends = {"difference": found.value, "low": found.low, "high": found.high}
    return pl.DataFrame({"vector": names, **ends}).select(pl.lit(baseline).alias("baseline"), "*")
