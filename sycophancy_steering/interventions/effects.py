"""Whether vectors that predict sycophancy also cause it."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.dose_response import class_difference
from sycophancy_steering.schemas.interventions import AGREEMENT, EFFECTS
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.clustered_means import clustered_mean
from sycophancy_steering.statistics.estimates import Estimate, row_of, t_quantile
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

KEYS = ["vector", "layer", "family"]
LARGEST_CORRELATION = 0.9999
"""Correlations are clipped to this size, since Fisher's z of 1 is infinite."""


def effects(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a vector, layer and family: the table `EFFECTS` without the AUROC.

    `slope` is half the difference of the log-odds with the vector added and subtracted; `removal`
    is how much the difference of the classes' log-odds shrinks with the component at its mean.
    """
    rows = []
    for values, group in answers.group_by(KEYS, maintain_order=True):
        added, at_mean = (group.filter(pl.col("kind") == kind) for kind in ("add", "mean"))
        plus, minus = (
            added.filter(pl.col("coefficient") == coefficient)["log_odds_after"]
            for coefficient in (1.0, -1.0)
        )
        items, labels = at_mean["item"].to_numpy().astype(str), at_mean["label"].to_numpy()
        estimates = {"slope": clustered_mean(((plus - minus) / 2).to_numpy(), items)}
        if len(set(labels)) == 2:
            decrease = (at_mean["log_odds_before"] - at_mean["log_odds_after"]).to_numpy()
            estimates["removal"] = class_difference(decrease, labels, items)
        row: dict[str, object] = dict(zip(KEYS, values, strict=True))
        rows.append(row | {"n": len(at_mean), "n_items": len(set(items))} | row_of(estimates))
    columns = {
        name: dtype for name, dtype in EFFECTS.columns.items() if name not in estimate("auroc")
    }
    return pl.DataFrame(rows, schema=columns)


def with_predictivity(effects: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """`effects` with the AUROC on `test` of each vector's projections after the prompt, at the
    layer it is made at."""
    own_layer = (pl.col("extraction_layer") == pl.col("layer")) & (pl.col("position") == "prompt")
    pooled = (pl.col("source") == EVERY_SOURCE) & (pl.col("readout") == "projection")
    on_test = pl.col("split") == "test"
    aurocs = cells.filter(own_layer & pooled & on_test).select(*KEYS, *estimate("auroc"))
    aurocs = aurocs.with_columns(pl.col("layer").cast(pl.Int64))
    return effects.join(aurocs, on=KEYS, how="left", maintain_order="left")


def agreement(effects: pl.DataFrame) -> pl.DataFrame:
    """A row a family: the table `AGREEMENT`, of the vectors whose AUROC is known."""
    rows = []
    for (family,), group in effects.group_by("family", maintain_order=True):
        known = group.drop_nulls("auroc")
        aurocs, vectors = known["auroc"].to_numpy(), known["vector"].to_numpy().astype(str)
        row = {"family": family, "n": len(known), "n_vectors": len(set(vectors))}
        correlations = {
            effect: rank_correlation(aurocs, known[effect].to_numpy(), vectors)
            for effect in ("slope", "removal")
        }
        rows.append(row | row_of(correlations))
    return pl.DataFrame(rows, schema=AGREEMENT.columns)


def rank_correlation(one: Floats, other: Floats, groups: NDArray[np.generic]) -> Estimate:
    """Spearman's correlation of `one` and `other` (n,); NaN where either is constant.

    The interval is a jackknife over `groups` (n,), on Fisher's z scale (Tukey 1958).
    """

    def correlation(selected: NDArray[np.bool_]) -> float:
        first, second = (pl.Series(side[selected]).rank().to_numpy() for side in (one, other))
        if min(np.ptp(first), np.ptp(second)) == 0:
            return float("nan")
        return float(np.corrcoef(first, second)[0, 1])

    def fisher_z(correlations: object) -> Floats:
        limit = LARGEST_CORRELATION
        return np.arctanh(np.clip(np.asarray(correlations), -limit, limit))

    value, names = correlation(np.ones(len(one), bool)), np.unique(groups)
    if len(names) < 3:
        return Estimate(np.array(value), np.array(np.nan), np.array(np.nan))
    z_without = fisher_z([correlation(groups != name) for name in names])
    n = len(names)
    error = np.sqrt((n - 1) / n * ((z_without - z_without.mean()) ** 2).sum())
    half_width, z = t_quantile(n - 1) * error, fisher_z(value)
    return Estimate(np.array(value), np.tanh(z - half_width), np.tanh(z + half_width))
