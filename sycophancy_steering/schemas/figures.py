"""Tables that the figures stage writes: reports/plots_data/."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.table import Table, estimate

STAGE = "figures"

CAPTIONS = Table(
    "reports/plots_data/captions.csv",
    {"model": pl.String, "figure": pl.String, "caption": pl.String},
    STAGE,
)
"""What is to be seen in reports/plots/MODEL_FIGURE.png, in the order of the figures."""
VECTOR_CELL = {
    "model": pl.String,
    "family": pl.String,
    "position": pl.String,
    "vector": pl.String,
    "method": pl.String,
    "headline": pl.Boolean,
    "layer": pl.Int32,
    "n": pl.Int32,
    "n_items": pl.Int32,
    "n_items_rarer_class": pl.Int32,
    **estimate("auroc"),
    "random_low": pl.Float64,
    "random_high": pl.Float64,
}
PLOTTED_ATLAS = Table("reports/plots_data/atlas.csv", VECTOR_CELL, STAGE)
"""Every vector's AUROC on `test` at the layer selected for it, for `dvc plots`."""
PLOTTED_LAYERS = Table("reports/plots_data/layers.csv", VECTOR_CELL, STAGE)
"""The lines of the figures `layers`, for `dvc plots`."""
