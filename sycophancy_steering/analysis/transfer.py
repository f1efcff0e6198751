"""Where vectors transfer: extraction sets by families and sources; whether cosines predict it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.analysis.readouts import project
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.schemas.analysis import TRANSFER, TRANSFER_FROM_COSINES
from sycophancy_steering.statistics.auroc import clustered_auroc, n_items_of_rarer_class
from sycophancy_steering.statistics.estimates import t_quantile
from sycophancy_steering.statistics.ranks import tied_ranks
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.storage.cell_files import EVERY_SOURCE
from sycophancy_steering.storage.vector_files import has_vector

FamilySource = tuple[str, str]
"""A family and one of its sources, or `EVERY_SOURCE`."""
COSINES = ("cosine", "mahalanobis_cosine")


@dataclass(frozen=True)
class TransferTargets:
    """The families and sources that vectors are evaluated on, at one layer."""

    cells: Mapping[FamilySource, Cell]
    """The answers on `test`."""
    own_sets: Mapping[FamilySource, str]
    """The extraction set that the family's or source's own vectors come from."""
    covariances: Mapping[FamilySource, Floats]
    """(d_model, d_model) of the activations on `select`: cosines must not know the answers that
    they predict."""


def own_sets(families_of_sets: Mapping[str, set[FamilySource]]) -> dict[FamilySource, str]:
    """The first set whose questions are all of a family, or all of one of its sources.

    `families_of_sets` names the families and sources of each set.
    """
    own: dict[FamilySource, str] = {}
    for name, members in families_of_sets.items():
        family, source = next(iter(members))
        if {member for member, _ in members} == {family}:
            own.setdefault((family, EVERY_SOURCE), name)
        if len(members) == 1:
            own.setdefault((family, source), name)
    return own


def transfer_at_layer(
    vectors: Mapping[tuple[str, str], Floats], targets: TransferTargets, activations: ArrayStream
) -> pl.DataFrame:
    """One row a method, extraction set and target: the columns of `TRANSFER` but for the layer.

    `vectors` (d_model,) by set and method; `activations` (N, d_model) of all answers. The cosines
    are those with the target's own vector by the same method, NaN where there is none.
    """
    rows = []
    projections = project(activations, np.stack([*vectors.values()]))
    for ((name, method), vector), scores in zip(vectors.items(), projections, strict=True):
        for (family, source), cell in targets.cells.items():
            own_set = targets.own_sets.get(
                (family, source), targets.own_sets.get((family, EVERY_SOURCE))
            )
            own = vectors.get((own_set or "", method), np.full_like(vector, np.nan))
            auroc = clustered_auroc(scores[None, cell.rows], cell.labels, cell.items)
            covariance = targets.covariances[family, source]
            rows.append(
                {
                    "method": method,
                    "prompt_set": name,
                    "family": family,
                    "source": source,
                    "own_set": name == own_set,
                    "n_items_rarer_class": n_items_of_rarer_class(cell.labels, cell.items),
                    **{key: float(value[0]) for key, value in auroc.columns("auroc").items()},
                    "cosine": float(cosine(vector, own)),
                    "mahalanobis_cosine": float(cosine(vector, own, covariance)),
                }
            )
    schema = {key: kind for key, kind in TRANSFER.columns.items() if key != "layer"}
    return pl.DataFrame(rows, schema=schema)


def auroc_cosine_correlation(transfer: pl.DataFrame, metric: str) -> dict[str, object] | None:
    """Spearman's correlation of the cosine `metric` with the AUROC: a row of TRANSFER_FROM_COSINES.

    Over sets, families and layers where the vector is not the family's own; one correlation a
    method, their mean and its 95% interval (Student's t). Methods share their answers, so the
    interval is too narrow. None with fewer than two methods.
    """
    correlations = []
    others = transfer.filter(~pl.col("own_set"), pl.col("source") == EVERY_SOURCE)
    for _, of_method in others.group_by("method", maintain_order=True):
        both = of_method.select(metric, "auroc").drop_nans()
        if len(both) > 3:
            ranks = tied_ranks(both.to_numpy().astype(np.float64).T)
            if (ranks.std(1) > 0).all():
                correlations.append(float(np.asarray(np.corrcoef(ranks))[0, 1]))
    n = len(correlations)
    if n < 2:
        return None
    mean, error = float(np.mean(correlations)), float(np.std(correlations, ddof=1) / np.sqrt(n))
    half_width = float(t_quantile(n - 1)) * error
    return {
        "metric": metric,
        "n": n,
        "rank_correlation": mean,
        "rank_correlation_low": max(mean - half_width, -1),
        "rank_correlation_high": min(mean + half_width, 1),
    }


def transfer_tables(study: ModelStudy) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables TRANSFER and TRANSFER_FROM_COSINES of a model."""
    select, test = (
        {(cell.family, cell.source): cell for cell in study.evaluation.cells if cell.split == split}
        for split in ("select", "test")
    )
    cells = {key: cell for key, cell in test.items() if key in select}
    own = own_sets(study.families_of_sets)
    tables = []
    for layer in range(study.evaluation.origin.n_layers):
        activations = study.evaluation.activations(layer, "prompt")
        covariances = {key: activations.select_rows(select[key].rows).covariance for key in cells}
        vectors = {
            key: values[layer] for key, values in study.vectors.items() if has_vector(values)[layer]
        }
        table = transfer_at_layer(vectors, TransferTargets(cells, own, covariances), activations)
        tables.append(table.with_columns(pl.lit(layer, pl.Int64).alias("layer")))
    transfer = pl.concat(tables)
    correlations = [auroc_cosine_correlation(transfer, metric) for metric in COSINES]
    return transfer, pl.DataFrame(
        [row for row in correlations if row], schema=TRANSFER_FROM_COSINES.columns
    )
