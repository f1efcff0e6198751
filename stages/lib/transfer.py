"""Where vectors carry over: sets x families, and whether the angle between vectors tells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from scipy.special import stdtrit

from lib.agreement import cosine
from lib.evaluation import Cell
from lib.predictivity_table import project
from lib.statistics import Floats, clustered_auroc, midranks

LEVEL = 0.95
SCHEMA = {"method": pl.String, "prompt_set": pl.String, "family": pl.String, "own": pl.Boolean}
SCHEMA |= dict.fromkeys(["auroc", "auroc_low", "auroc_high", "cosine", "mahalanobis"], pl.Float64)


def own_sets(families: Mapping[str, set[str]]) -> dict[str, str]:
    """Family -> the first of the sets whose questions are all of it (`families` of each set)."""
    found: dict[str, str] = {}
    for name, held in families.items():
        if len(held) == 1:
            found.setdefault(next(iter(held)), name)
    return found


def transfer_at(
    vectors: Mapping[tuple[str, str], Floats],
    own: Mapping[str, str],
    cells: Mapping[str, Cell],
    states: Floats,
    metrics: Mapping[str, Floats],
) -> pl.DataFrame:
    """One row a method, set and family, all at one layer.

    `vectors` are (d_model,) by set and method; `own` names the set that each family's own vector
    comes from; `cells` are the families' answers, among those with `states` (N, d_model);
    `metrics` the covariance (d_model, d_model) of each family's states. Beside the AUROC of the
    set's vector stands its angle with the family's own vector by the same method.
    """
    rows = []
    for (name, method), vector in vectors.items():
        read = project(states, vector[None])[0]
        for family, cell in cells.items():
            home = own.get(family)
            if home is None or (home, method) not in vectors:
                continue
            area = clustered_auroc(read[:, cell.rows], cell.labels, cell.items)
            there = vectors[home, method]
            rows.append(
                {
                    "method": method,
                    "prompt_set": name,
                    "family": family,
                    "own": name == home,
                    "auroc": float(area.value[0]),
                    "auroc_low": float(area.low[0]),
                    "auroc_high": float(area.high[0]),
                    "cosine": float(cosine(vector, there)),
                    "mahalanobis": float(cosine(vector, there, metrics[family])),
                }
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def foretold(table: pl.DataFrame, by: str) -> dict[str, float]:
    """How well the angle `by` tells where a vector predicts: Spearman's correlation with the AUROC.

    Over sets, families and layers, where the vector is not the family's own; a correlation a
    method, their mean and its 95% interval (Student's t; methods share data, so take it as narrow).
    """
    found = []
    for _, held in table.filter(~pl.col("own")).group_by("method", maintain_order=True):
        both = held.select(by, "auroc").drop_nans()
        if len(both) > 3:
            ranks = midranks(both.to_numpy().astype(np.float64).T)
            if (ranks.std(1) > 0).all():
                found.append(float(np.asarray(np.corrcoef(ranks))[0, 1]))
    if len(found) < 2:
        return {}
    mean, error = float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(len(found)))
    reach = float(stdtrit(len(found) - 1, (1 + LEVEL) / 2)) * error
    return {by: mean, f"{by}_low": max(mean - reach, -1), f"{by}_high": min(mean + reach, 1)}
