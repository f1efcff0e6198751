"""What explains the labels besides sycophancy, and how far sources of labels agree."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.report.templates import Section, TableData

CONFOUNDED = 0.5
"""The share of the labels' variance from which on something is said to explain them."""


def labels_section(confounds: pl.DataFrame, agreement: pl.DataFrame) -> Section:
    """Variance of the labels that letters and items explain, and agreement of label sources."""
    families = []
    for (family,), part in confounds.group_by("family", maintain_order=True):
        # Undefined where all answers have one label, or every group has a single answer.
        rows = part.filter(pl.col("explained_variance").is_not_null()).rows(named=True)
        if rows:
            confounded = [row["by"] for row in rows if row["explained_variance"] >= CONFOUNDED]
            families.append({"family": family, "rows": rows, "confounded": confounded})
    rows = [
        [row["one"], row["other"], row["n"], row["n_differ"], row["kappa"]]
        for row in agreement.iter_rows(named=True)
    ]
    header = ["label source", "other source", "answers", "differ", "Cohen's kappa"]
    return Section(
        "labels", {"families": families, "agreement": TableData(header, rows) if rows else None}
    )
