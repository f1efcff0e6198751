"""Tables of fine-tuning as a baseline: reports/baselines, differences and tuning."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.interventions import (
    AFTER_ABLATION,
    CHANGED,
    COST_COLUMNS,
    COUNTS,
    LOG_ODDS,
    QUESTION,
)
from sycophancy_steering.schemas.table import Table, estimate

RUN = {
    "method": pl.String,
    "towards": pl.Boolean,
    "n_examples": pl.Int64,
    "seed": pl.Int64,
    "label_source": pl.String,
}
"""What was trained, prompted or steered, with which examples and whose labels."""
DISTILLED_PROMPTS = Table(
    "data/adapters/{model}/distilled_prompts.parquet",
    {
        "towards": pl.Boolean,
        "n_examples": pl.Int64,
        "seed": pl.Int64,
        "method": pl.String,
        "select_changed_share": pl.Float64,
    },
    "tune",
)
"""The best prompt for each direction, number of examples and seed: the one that is distilled."""
BASELINE_ANSWERS = Table(
    "reports/baselines/{model}/answers.parquet", {**RUN, **QUESTION, **LOG_ODDS}, "baselines"
)
"""A row a method and question; `log_odds_before` is the plain model's."""
BASELINE_SIDE_EFFECTS = Table(
    "reports/baselines/{model}/side_effects.parquet", {**RUN, **COST_COLUMNS}, "baselines"
)
"""What each run costs, against the plain model (`method` "as it is")."""
BASELINE_WEAK_VECTORS = Table(
    "reports/baselines/{model}/weak_vectors.parquet",
    {
        "n_examples": pl.Int64,
        "seed": pl.Int64,
        "label_source": pl.String,
        "family": pl.String,
        "layer": pl.Int64,
        **COUNTS,
        "mislabelled_share": pl.Float64,
        **estimate("auroc"),
        "cosine": pl.Float64,
    },
    "baselines",
)
"""AUROC on `test` of vectors from wrongly labelled pairs, and their cosine with the vector from the
same pairs with true labels."""

COSINES = Table(
    "reports/differences/{model}/cosines.csv",
    {
        "method": pl.String,
        "training_set": pl.String,
        "layer": pl.Int64,
        "cosine": pl.Float64,
        "cosine_lowest": pl.Float64,
        "cosine_highest": pl.Float64,
        "mahalanobis_cosine": pl.Float64,
        "ceiling_seeds": pl.Float64,
        "ceiling_items": pl.Float64,
        "random_cosine": pl.Float64,
        "n_seeds": pl.Int64,
    },
    "differences",
)
"""How close the change by training lies to the prompts' vector: of the mean over seeds, and the
lowest and highest of one seed."""
DIFFERENCE_PREDICTIVITY = Table(
    "reports/differences/{model}/predictivity.csv",
    {
        "method": pl.String,
        "training_set": pl.String,
        "family": pl.String,
        "layer": pl.Int64,
        **COUNTS,
        **estimate("auroc"),
        "auroc_lowest": pl.Float64,
        "auroc_highest": pl.Float64,
        "n_seeds": pl.Int64,
        "random_low": pl.Float64,
        "random_high": pl.Float64,
    },
    "differences",
)
"""AUROC on `test` of the plain model's activations projected on the change by training."""
AFTER_TRAINING = Table(
    "reports/differences/{model}/after_training.csv",
    {
        "method": pl.String,
        "family": pl.String,
        "readout_vector": pl.String,
        "readout_layer": pl.Int64,
        **COUNTS,
        "n_seeds": pl.Int64,
        "n_sycophantic_after": pl.Float64,
        **AFTER_ABLATION,
    },
    "differences",
)
"""Predictivity in models trained away from sycophancy: mean over seeds, widest interval. `method`
is missing for the plain model."""

FOLDER = "reports/tuning/{model}"
METHODS = Table(
    f"{FOLDER}/methods.csv",
    {
        "method": pl.String,
        "towards": pl.Boolean,
        "n_examples": pl.Int64,
        "label_source": pl.String,
        "family": pl.String,
        **CHANGED,
        "lowest": pl.Float64,
        "highest": pl.Float64,
    },
    "tuning",
)
"""The share of answers changed by each method: all seeds, and the lowest and highest of one."""
VERSUS_STEERING = Table(
    f"{FOLDER}/versus_steering.csv",
    {
        "method": pl.String,
        "n_examples": pl.Int64,
        "label_source": pl.String,
        "towards": pl.Boolean,
        "family": pl.String,
        **COUNTS,
        **estimate("changed_share_difference"),
    },
    "tuning",
)
"""The share changed by each method minus that by steering, on the same questions."""
SIDE_EFFECTS = Table(f"{FOLDER}/side_effects.csv", BASELINE_SIDE_EFFECTS.columns, "tuning")
"""`BASELINE_SIDE_EFFECTS` as a CSV table."""
WEAK_VECTORS = Table(f"{FOLDER}/weak_vectors.csv", BASELINE_WEAK_VECTORS.columns, "tuning")
"""`BASELINE_WEAK_VECTORS` as a CSV table."""
HEADLINE = Table(
    f"{FOLDER}/headline.csv",
    {"method": pl.String, "family": pl.String, "changed_share": pl.Float64},
    "tuning",
)
"""The share of answers changed away from sycophancy, with the most examples and true labels."""
