"""What can still be read once something has been taken out: predictivity after ablation."""

from __future__ import annotations

import polars as pl

from lib.statistics import clustered_auroc
from lib.steered import columns_of
from lib.steering_settings import CONDITION

SAME, ANEW = "same", "anew"
"""Which vector reads: the one made where nothing was taken out, or one made after it was."""


def by_reading(read: pl.DataFrame) -> pl.DataFrame:
    """A row a condition, family, reader (`by`) and layer: `auroc`, of who answers sycophantically
    where nothing is done, and `auroc_then`, of who still does (missing where all answer alike);
    intervals clustered by item. `read` is the table of `afterwards_run.read_again`."""
    rows = []
    keys = [*CONDITION, "family", "by", "read_layer"]
    for values, held in read.group_by(keys, maintain_order=True):
        row: dict[str, object] = dict(zip(keys, values, strict=True))
        items, scores = held["item"].to_numpy().astype(str), held["score"].to_numpy()
        row |= {"n": len(held), "items": len(set(items)), "n_then": int(held["then"].sum())}
        for key, told in (("auroc", "label"), ("auroc_then", "then")):
            labels = held[told].to_numpy()
            if 0 < labels.sum() < len(labels):
                row |= columns_of({key: clustered_auroc(scores, labels, items)})
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)
