"""Tables of predictivity: every evaluation cell, each answer's scores, and what chance gives."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.table import Table, estimate

VECTOR = {
    "null": pl.Boolean,
    "method": pl.String,
    "normalisation": pl.String,
    "n_pairs": pl.String,
    "extraction_position": pl.String,
    "seed": pl.String,
}
"""How a vector was made."""
STRATIFIED = {**estimate("within_item_auroc"), **estimate("within_template_auroc")}
"""AUROCs among the answers about one item, and among those of one template."""
RANK = {**estimate("rank_correlation"), "rank_correlation_p": pl.Float64}
"""Of the score with the shift of the log-odds that the user's words bring about; the p-value is of
this one cell."""
WITHIN_AND_RANK = [*STRATIFIED, *RANK, "rank_statistic"]
"""Columns of CELLS that are missing where there is nothing to compare: one answer an item, one
template, no known shift."""
CELLS = Table(
    "reports/cells/{model}/{prompt_set}.parquet",
    {
        "vector": pl.String,
        "extraction_layer": pl.Int64,
        "readout": pl.String,
        **estimate("auroc"),
        **STRATIFIED,
        **RANK,
        **estimate("auprc"),
        **estimate("correlation"),
        **estimate("brier"),
        **estimate("calibration_error"),
        "shuffled_low": pl.Float64,
        "shuffled_high": pl.Float64,
        "sign_flip_statistic": pl.Float64,
        "rank_statistic": pl.Float64,
        "layer": pl.Int32,
        "position": pl.String,
        "family": pl.String,
        "source": pl.String,
        "split": pl.String,
        "n": pl.Int32,
        "n_sycophantic": pl.Int32,
        "n_items": pl.Int32,
        "n_items_rarer_class": pl.Int32,
        "n_mixed_items": pl.Int32,
        "n_mixed_templates": pl.Int32,
        "n_shifts": pl.Int32,
        "n_shift_items": pl.Int32,
        "invalid_share": pl.Float64,
        "letter_auroc": pl.Float64,
        "length_auroc": pl.Float64,
        "margin_auroc": pl.Float64,
        "random_low": pl.Float64,
        "random_high": pl.Float64,
        **VECTOR,
        "selected": pl.Boolean,
        "model": pl.String,
        "prompt_set": pl.String,
        "evaluation_set": pl.String,
        "generalisation": pl.String,
    },
    "predictivity",
)
"""One row a vector, layer it was made at, layer and position it is read at (at most
`scoring.max_layer_distance` apart), evaluation cell (family or source, and split) and read-out. The
layer chosen on `select` is `selected`."""
CROSS_MODEL_CELLS = Table(
    "reports/cross_model/{model}/{vectors_from}/cells/{prompt_set}.parquet",
    CELLS.columns,
    "cross_model",
)
"""The same of another model's vectors: `vectors_from` made them, `model` answered."""
ATLAS = Table("reports/atlas.parquet", CELLS.columns, "analysis")
"""The cells of all models and extraction sets."""
SCORES = Table(
    "reports/scores/{model}/{prompt_set}.parquet",
    {
        "vector": pl.String,
        "position": pl.String,
        "layer": pl.Int32,
        "id": pl.String,
        "source": pl.String,
        "family": pl.String,
        "item": pl.String,
        "split": pl.String,
        "label": pl.Int8,
        "projection": pl.Float64,
        "cosine": pl.Float64,
    },
    "predictivity",
)
"""One row a labelled answer and vector, at the layer selected for the vector."""
SIGN_FLIPS = Table(
    "reports/sign_flips/{model}/{prompt_set}.parquet",
    {
        "vector": pl.String,
        "permutation": pl.Int64,
        "maximum": pl.Float64,
        "rank_maximum": pl.Float64,
        "null": pl.Boolean,
    },
    "predictivity",
)
"""The largest statistics of all cells of a vector under each random flip of the items' signs: of
the AUROC, and of the rank correlation with the shift."""
CROSS_MODEL_SCORES = Table(
    "reports/cross_model/{model}/{vectors_from}/scores/{prompt_set}.parquet",
    SCORES.columns,
    "cross_model",
)
"""`SCORES` of another model's vectors."""
CROSS_MODEL_SIGN_FLIPS = Table(
    "reports/cross_model/{model}/{vectors_from}/sign_flips/{prompt_set}.parquet",
    SIGN_FLIPS.columns,
    "cross_model",
)
"""`SIGN_FLIPS` of another model's vectors."""
SHUFFLED_PAIRS = Table(
    "reports/shuffled_pairs/{model}/{prompt_set}.parquet",
    {
        "shuffle": pl.Int64,
        "family": pl.String,
        "position": pl.String,
        "replicate": pl.Int64,
        "layer": pl.Int32,
        "select_auroc": pl.Float64,
        "auroc": pl.Float64,
    },
    "analysis",
)
"""Mean differences of pairs whose answers were swapped at random: of all replicates (as many as
there are variants) and layers the best on `select`, for each shuffle, family and position."""
