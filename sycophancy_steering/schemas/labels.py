"""Tables about labels: reports/label_tables/MODEL/."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.table import Table

FOLDER = "reports/label_tables/{model}"
STAGE = "labels"

CONFOUNDS = Table(
    f"{FOLDER}/{{prompt_set}}.confounds.csv",
    {
        "family": pl.String,
        "n": pl.Int64,
        "sycophantic_share": pl.Float64,
        "predictor": pl.String,
        "auroc": pl.Float64,
        "explained_variance": pl.Float64,
        "explained_by_chance": pl.Float64,
    },
    STAGE,
)
"""How far letters and items predict the labels; missing where all labels are alike."""
LABEL_AGREEMENT = Table(
    f"{FOLDER}/{{prompt_set}}.agreement.csv",
    {
        "label_source": pl.String,
        "other_label_source": pl.String,
        "n": pl.Int64,
        "n_differ": pl.Int64,
        "kappa": pl.Float64,
    },
    STAGE,
)
"""How far two sources label the same answers alike."""
