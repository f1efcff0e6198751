"""What can still be read once something has been taken out: predictivity after ablation."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sycophancy_steering.interventions.steering_settings import CONDITION
from sycophancy_steering.interventions.steering_tables import ENDS, estimate_columns
from sycophancy_steering.statistics.auroc import clustered_auroc

AREAS = [f"{area}{end}" for area in ("auroc", "auroc_then") for end in ENDS]
ORIGINAL, REFITTED = "same", "anew"
"""Which vector reads: the one made where nothing was taken out, or one made after it was."""


def auroc_after_ablation(read: pl.DataFrame, done: Sequence[str] = tuple(CONDITION)) -> pl.DataFrame:
    """A row of what was `done`, family, reader (`by`) and layer: `auroc`, of who answers
    sycophantically where nothing is done, and `auroc_then`, of who still does (missing where all
    answer alike); intervals clustered by item. `read` is the table of
    `afterwards_run.read_again`."""
    rows = []
    keys = list(dict.fromkeys([*done, "family", "by", "read_layer"]))
    for values, held in read.group_by(keys, maintain_order=True):
        row: dict[str, object] = dict(zip(keys, values, strict=True))
        items, scores = held["item"].to_numpy().astype(str), held["score"].to_numpy()
        row |= {"n": len(held), "items": len(set(items)), "n_then": int(held["then"].sum())}
        for key, told in (("auroc", "label"), ("auroc_then", "then")):
            labels = held[told].to_numpy()
            if 0 < labels.sum() < len(labels):
                row |= estimate_columns({key: clustered_auroc(scores, labels, items)})
        rows.append(row)
    found = pl.DataFrame(rows, infer_schema_length=None)
    known = (pl.lit(None, pl.Float64).alias(key) for key in AREAS if key not in found.columns)
    return found.with_columns(*known)
