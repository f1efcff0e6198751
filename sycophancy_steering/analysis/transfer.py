"""Where vectors carry over: sets x families (and sources), and whether angles between them tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.readouts import project
from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import (
    clustered_auroc,
    items_of_rarer,
    midranks,
    students_t,
)
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

SCHEMA = {"method": pl.String, "prompt_set": pl.String, "family": pl.String, "source": pl.String}
SCHEMA |= {"own": pl.Boolean, "items_of_rarer": pl.Int64}
SCHEMA |= dict.fromkeys(["auroc", "auroc_low", "auroc_high", "cosine", "mahalanobis"], pl.Float64)


Kind = tuple[str, str]
"""A family and one of its sources, or `EVERY_SOURCE`."""


def own_sets(held: Mapping[str, set[Kind]]) -> dict[Kind, str]:
    """The first of the sets whose questions are all of a family, or all of one of its sources;
    `held` are the families and sources of each."""
    found: dict[Kind, str] = {}
    for name, kinds in held.items():
        family, source = next(iter(kinds))
        if {each for each, _ in kinds} == {family}:
            found.setdefault((family, EVERY_SOURCE), name)
        if len(kinds) == 1:
            found.setdefault((family, source), name)
    return found


def transfer_at(
    vectors: Mapping[tuple[str, str], Floats],
    own: Mapping[Kind, str],
    cells: Mapping[Kind, Cell],
    states: Stream,
    metrics: Mapping[Kind, Floats],
) -> pl.DataFrame:
    """One row a method, set and kind of question, all at one layer.

    `vectors` are (d_model,) by set and method; `own` names the set that each kind's own vector
    comes from (a source without one has its family's); `cells` are the answers of each kind, among
    those with `states` (N, d_model); `metrics` the covariance (d_model, d_model) of their states.
    Beside the AUROC of the set's vector stands its angle with the kind's own vector by the same
    method, or NaN where there is none.
    """
    rows = []
    scores = project(states, np.stack([*vectors.values()]), cosines=False)[0]
    for ((name, method), vector), read in zip(vectors.items(), scores, strict=True):
        for (family, source), cell in cells.items():
            home = own.get((family, source), own.get((family, EVERY_SOURCE)))
            area = clustered_auroc(read[None, cell.rows], cell.labels, cell.items)
            there = vectors.get((home or "", method), np.full_like(vector, np.nan))
            rows.append(
                {
                    "method": method,
                    "prompt_set": name,
                    "family": family,
                    "source": source,
                    "own": name == home,
                    "items_of_rarer": items_of_rarer(cell.labels, cell.items),
                    "auroc": float(area.value[0]),
                    "auroc_low": float(area.low[0]),
                    "auroc_high": float(area.high[0]),
                    "cosine": float(cosine(vector, there)),
                    "mahalanobis": float(cosine(vector, there, metrics[family, source])),
                }
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def foretold(table: pl.DataFrame, by: str) -> dict[str, float]:
    """How well the angle `by` tells where a vector predicts: Spearman's correlation with the AUROC.

    Over sets, families and layers, where the vector is not the family's own; a correlation a
    method, their mean and its 95% interval (Student's t; methods share data, so take it as narrow).
    """
    found = []
    others = table.filter(~pl.col("own"), pl.col("source") == EVERY_SOURCE)
    for _, held in others.group_by("method", maintain_order=True):
        both = held.select(by, "auroc").drop_nans()
        if len(both) > 3:
            ranks = midranks(both.to_numpy().astype(np.float64).T)
            if (ranks.std(1) > 0).all():
                found.append(float(np.asarray(np.corrcoef(ranks))[0, 1]))
    if len(found) < 2:
        return {}
    mean, error = float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(len(found)))
    reach = float(students_t(len(found) - 1)) * error
    return {by: mean, f"{by}_low": max(mean - reach, -1), f"{by}_high": min(mean + reach, 1)}
