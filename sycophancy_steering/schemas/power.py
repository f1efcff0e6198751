"""Table of what the study could have found."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.table import Table, estimate

POWER = Table(
    "reports/power/{model}.csv",
    {
        "planted": pl.String,
        "family": pl.String,
        "prompt_set": pl.String,
        "layer": pl.Int64,
        "part": pl.String,
        "size": pl.Float64,
        "norm_share": pl.Float64,
        "class_separations": pl.Float64,
        "n_draws": pl.Int64,
        **estimate("found_share"),
        **estimate("auroc"),
        **estimate("cosine"),
        "n_extraction": pl.Int64,
        "n_extraction_planted": pl.Int64,
        "n": pl.Int64,
        "n_planted": pl.Int64,
        "n_items": pl.Int64,
        "detectable_auroc": pl.Float64,
    },
    "power",
)
"""One row a family, size, and way of choosing the questions that a direction is planted in.

The interval of `found_share` is binomial; AUROC and cosine are means over the random studies, and
their bounds hold the central 95% of them."""
