"""Tables that compare vectors: reports/comparison/."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.predictivity import RANK, STRATIFIED
from sycophancy_steering.schemas.table import Table, estimate

STAGE = "analysis"

SELECTED = Table(
    "reports/comparison/selected.csv",
    {
        "model": pl.String,
        "family": pl.String,
        "position": pl.String,
        "vector": pl.String,
        "layer": pl.Int64,
        "n": pl.Int64,
        "n_items": pl.Int64,
        **estimate("auroc"),
        **STRATIFIED,
        "n_mixed_items": pl.Int64,
        "n_mixed_templates": pl.Int64,
        **RANK,
        "n_shifts": pl.Int64,
        "n_shift_items": pl.Int64,
        "rank_correlation_p_all_cells": pl.Float64,
        "n_cells": pl.Int64,
        "p_all_cells": pl.Float64,
        "p_shuffled_pairs": pl.Float64,
        "shuffled_low": pl.Float64,
        "shuffled_high": pl.Float64,
        "shuffled_significant_share": pl.Float64,
    },
    STAGE,
)
"""The best vector and layer on `select` for each family and position, its AUROC on `test`, how
often chance does as well, and the same read-out within items and templates and against shifts."""
DIFFERENCES = Table(
    "reports/comparison/differences.csv",
    {
        "model": pl.String,
        "family": pl.String,
        "baseline": pl.String,
        "vector": pl.String,
        **estimate("auroc_difference"),
    },
    STAGE,
)
"""AUROC of each vector minus that of the headline vector, on the same answers."""
VARIANCE_COMPONENTS = Table(
    "reports/comparison/variance_components.csv",
    {
        "model": pl.String,
        "family": pl.String,
        "n_sets": pl.Int64,
        "n_methods": pl.Int64,
        **estimate("between_sets"),
        **estimate("between_methods"),
        **estimate("interaction"),
        **estimate("largest_gap"),
    },
    STAGE,
)
"""How far the AUROC varies between prompt sets, between methods, and by their interaction."""
