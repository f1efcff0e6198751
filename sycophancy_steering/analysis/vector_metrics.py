"""`reports/predictivity/MODEL/SET/VARIANT.json`: a few flat numbers a vector, to be compared."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.storage.cell_files import EVERY_SOURCE


def vector_metrics(table: pl.DataFrame, responses: pl.DataFrame) -> dict[str, dict[str, object]]:
    """The metrics of each vector. A family whose answers are all alike has none."""
    test = responses.filter(pl.col("split") == "test")
    answered = {
        "n": int(test["label"].is_not_null().sum()),
        "invalid_share": round(test["label"].null_count() / max(len(test), 1), 5),
    }
    fit = (pl.col("source") == EVERY_SOURCE) & (pl.col("split") == "test") & pl.col("chosen")
    rows = table.filter(fit & (pl.col("readout") == "projection") & pl.col("auroc").is_not_nan())
    found: dict[str, dict[str, object]] = {name: {**answered} for name in table["name"].unique()}
    for row in rows.sort("position", maintain_order=True, descending=True).iter_rows(named=True):
        metrics = found[row["name"]]
        if row["position"] == "prompt":
            metrics["layer"] = row["layer"]
            metrics[f"{row['family']}_auroc"] = round(row["auroc"], 5)
            metrics[f"{row['family']}_low"] = round(row["auroc_low"], 5)
            metrics[f"{row['family']}_high"] = round(row["auroc_high"], 5)
        elif row["position"] == "continuation":
            metrics[f"{row['family']}_after"] = round(row["auroc"], 5)
    return found
