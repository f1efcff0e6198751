"""Predictivity after an ablation, from the scores of `ablation_readout`."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sycophancy_steering.schemas.interventions import AFTER_ABLATION, CONDITION, COUNTS
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.estimates import row_of

READOUT = ("family", "readout_vector", "readout_layer")
LABELS = {"auroc": "label", "auroc_after": "label_after"}
"""Which labels each AUROC is of."""


def auroc_after_ablation(
    scores: pl.DataFrame, condition: Sequence[str] = tuple(CONDITION)
) -> pl.DataFrame:
    """A row for each value of the columns `condition` and of `READOUT`.

    `auroc` is that of the unchanged model's labels, `auroc_after` that of the labels under the
    condition (missing where all answers are alike); intervals are clustered by item. `scores` is
    the table of `ablation_scores`.
    """
    rows = []
    keys = [*condition, *READOUT]
    for values, group in scores.group_by(keys, maintain_order=True):
        row: dict[str, object] = dict(zip(keys, values, strict=True))
        items, projections = group["item"].to_numpy().astype(str), group["score"].to_numpy()
        row |= {"n": len(group), "n_items": len(set(items))}
        row |= {"n_sycophantic_after": int(group["label_after"].sum())}
        for name, column in LABELS.items():
            labels = group[column].to_numpy()
            if 0 < labels.sum() < len(labels):
                row |= row_of({name: clustered_auroc(projections, labels, items)})
        rows.append(row)
    columns = {key: scores.schema[key] for key in keys} | {"readout_layer": pl.Int64()}
    columns |= {**COUNTS, "n_sycophantic_after": pl.Int64, **AFTER_ABLATION}
    return pl.DataFrame(rows, schema=columns)
