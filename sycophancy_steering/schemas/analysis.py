"""Tables of the analyses of one model: reports/analysis/MODEL/."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.predictivity import RANK, STRATIFIED
from sycophancy_steering.schemas.table import Table, estimate

FOLDER = "reports/analysis/{model}"
STAGE = "analysis"

PREDICTIVITY = Table(
    f"{FOLDER}/predictivity.csv",
    {
        "vector": pl.String,
        "family": pl.String,
        "null": pl.Boolean,
        "layer": pl.Int32,
        "n": pl.Int32,
        "n_items": pl.Int32,
        **estimate("auroc"),
        **STRATIFIED,
        "n_mixed_items": pl.Int32,
        "n_mixed_templates": pl.Int32,
        **RANK,
        "n_shifts": pl.Int32,
        "n_shift_items": pl.Int32,
        "rank_correlation_p_all_cells": pl.Float64,
        **estimate("continuation_auroc"),
    },
    STAGE,
)
"""AUROC on `test` of every vector on every family, at the layer selected on `select`: after the
prompt, and after the model's own answer. After the prompt also within items and templates, and the
rank correlation with the shift."""
TRANSFER = Table(
    f"{FOLDER}/transfer.csv",
    {
        "layer": pl.Int64,
        "method": pl.String,
        "prompt_set": pl.String,
        "family": pl.String,
        "source": pl.String,
        "own_set": pl.Boolean,
        "n_items_rarer_class": pl.Int64,
        **estimate("auroc"),
        "cosine": pl.Float64,
        "mahalanobis_cosine": pl.Float64,
    },
    STAGE,
)
"""AUROC on `test`, after the prompt, of each set's vectors on each family or source, with the
cosines between the set's vector and the family's own."""
TRANSFER_FROM_COSINES = Table(
    f"{FOLDER}/transfer_from_cosines.csv",
    {"metric": pl.String, "n": pl.Int64, **estimate("rank_correlation")},
    STAGE,
)
"""Spearman correlation of a cosine with the AUROC, over sets, families and layers."""
INCREMENTAL_VALIDITY = Table(
    f"{FOLDER}/incremental_validity.csv",
    {
        "family": pl.String,
        "source": pl.String,
        "predictor": pl.String,
        "n": pl.Int64,
        "n_items": pl.Int64,
        "n_mixed_items": pl.Int64,
        "n_mixed_templates": pl.Int64,
        **estimate("auroc"),
        **estimate("added_auroc"),
        **estimate("within_item_auroc"),
        **estimate("added_within_item_auroc"),
        **estimate("within_template_auroc"),
        **estimate("added_within_template_auroc"),
    },
    STAGE,
)
"""AUROC on `test` of predictors fitted on `select`, and what the projection adds to them; the same
within items and within templates."""
MONITOR = Table(
    f"{FOLDER}/monitor.csv",
    {
        "vector": pl.String,
        "family": pl.String,
        "null": pl.Boolean,
        "layer": pl.Int64,
        "false_alarm_rate": pl.Float64,
        "n": pl.Int64,
        "n_sycophantic": pl.Int64,
        "n_items": pl.Int64,
        "n_neutral": pl.Int64,
        **estimate("auroc"),
        **estimate("recall"),
        **estimate("other_recall"),
        **estimate("recall_difference"),
        "random_low": pl.Float64,
        "random_high": pl.Float64,
        "random_difference_low": pl.Float64,
        "random_difference_high": pl.Float64,
    },
    STAGE,
)
"""Vectors as monitors, after the prompt, at the layer selected on `select`: the share of
sycophantic answers on `test` above the threshold that a share of neutral chats exceeds (`recall`),
that of the other answers, and their difference, each beside random directions' (`random`,
`random_difference`); `auroc` is that of sycophantic answers against neutral chats."""
SAMPLE_EFFICIENCY = Table(
    f"{FOLDER}/sample_efficiency.csv",
    {
        "method": pl.String,
        "paired": pl.Boolean,
        "n_pairs": pl.Int64,
        "family": pl.String,
        "n_resamples": pl.Int64,
        **estimate("auroc"),
        "auroc_sd": pl.Float64,
        "layer": pl.Int64,
    },
    STAGE,
)
"""AUROC on `test` of vectors made from so many pairs: mean, central 95% and standard deviation over
resamples of the pairs."""
TOKENS = Table(
    f"{FOLDER}/tokens.csv",
    {
        "family": pl.String,
        "token": pl.Int64,
        "vector": pl.String,
        "layer": pl.Int64,
        "n": pl.Int64,
        "n_items": pl.Int64,
        "text_reveals_share": pl.Float64,
        **estimate("auroc"),
        **estimate("text_auroc"),
        **estimate("auroc_minus_text"),
        "random_low": pl.Float64,
        "random_high": pl.Float64,
    },
    STAGE,
)
"""AUROC on `test` token by token (0: the prompt's end), beside a reader of the text so far."""
AGREEMENT = Table(
    f"{FOLDER}/agreement.csv",
    {
        "layer": pl.Int64,
        "prompt_set": pl.String,
        "position": pl.String,
        "family": pl.String,
        "other_prompt_set": pl.String,
        "other_position": pl.String,
        "other_family": pl.String,
        "cosine": pl.Float64,
        **estimate("noise_free_cosine"),
    },
    STAGE,
)
"""The cosine of two mean differences, as it is and without the noise of both."""
VARIANCE = Table(
    f"{FOLDER}/variance.csv",
    {
        "layer": pl.Int64,
        "prompt_set": pl.String,
        "component": pl.String,
        "n_compared": pl.Int64,
        "n_items": pl.Int64,
        **estimate("variance"),
    },
    STAGE,
)
"""Half the mean squared distance of two unit vectors that differ in one thing alone."""
RELIABILITY = Table(
    f"{FOLDER}/reliability.csv",
    {
        "layer": pl.Int64,
        "prompt_set": pl.String,
        "n_questions": pl.Int64,
        "n_items": pl.Int64,
        "n_pairs": pl.Int64,
        "n_resamples": pl.Int64,
        **estimate("cosine"),
    },
    STAGE,
)
"""The cosine of two vectors of so many pairs each, about different items."""
LARGE_DIMENSIONS = Table(
    f"{FOLDER}/large_dimensions.csv",
    {
        "prompt_set": pl.String,
        "position": pl.String,
        "layer": pl.Int64,
        "dimension": pl.Int64,
        "n": pl.Int64,
        "magnitude": pl.Float64,
        "times_median": pl.Float64,
        "massive_share": pl.Float64,
        "difference_share": pl.Float64,
        "noise_share": pl.Float64,
    },
    STAGE,
)
"""Every coordinate whose mean magnitude is at least 20 times the median coordinate's, in the
activations that vectors are made from; and its share of the mean difference's squared length,
beside the share that sampling noise alone would have."""
