"""Tables of steering, ablation and prompting: reports/steering, prompting and interventions."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.table import Table, estimate

STAGE, TABLES_STAGE = "interventions", "intervention_tables"
OWN = "own"
"""The `direction` of the vector itself; others are `random 1`, `random 2`, ..."""
ORIGINAL, REFITTED = "original", "refitted"
"""The `readout_vector` of ablation tables: fitted to unchanged activations, or after ablation."""
CONDITION = {
    "vector": pl.String,
    "direction": pl.String,
    "kind": pl.String,
    "layer": pl.Int64,
    "second_layer": pl.Int64,
    "coefficient": pl.Float64,
}
"""An intervention; all of its columns are missing where there is none."""
QUESTION = {"id": pl.String, "item": pl.String, "family": pl.String, "label": pl.Int8}
"""A question; `label` is 1 where the unchanged model answers it sycophantically, else 0."""
LOG_ODDS = {"log_odds_before": pl.Float64, "log_odds_after": pl.Float64}
"""Of the sycophantic answer, without and with the intervention."""

PARTS = ("dose_response", "two_layers", "comparison")
"""What conditions are for: a vector's effect; two layers at once; the comparison of vectors."""
STEERED_ANSWERS = Table(
    "reports/steering/{model}/answers.parquet",
    {"part": pl.String, **CONDITION, **QUESTION, **LOG_ODDS},
    STAGE,
)
"""A row a condition and question. `part` is one of PARTS."""
GENERATIONS = Table(
    "reports/steering/{model}/generations.parquet",
    {
        **QUESTION,
        "coefficient": pl.Float64,
        "question": pl.String,
        "response": pl.String,
        "parsed_answer": pl.String,
        "sycophantic_answer": pl.String,
    },
    STAGE,
)
"""The model's own response to some of the questions under the lowest coefficient, none (0) and the
highest, and the letter parsed from it (missing where none could be)."""
ABLATION_SCORES = Table(
    "reports/steering/{model}/ablation_scores.parquet",
    {
        **QUESTION,
        **CONDITION,
        "readout_vector": pl.String,
        "readout_layer": pl.Int32,
        "score": pl.Float64,
        "label_after": pl.Int64,
    },
    STAGE,
)
"""Projections of activations after an ablation, and whether the answer is then sycophantic."""
COST_COLUMNS = {**estimate("fact_accuracy"), **estimate("neutral_nll")}
"""The share of plain facts known; added nats per token of neutral text."""
STEERING_SIDE_EFFECTS = Table(
    "reports/steering/{model}/side_effects.parquet", {**CONDITION, **COST_COLUMNS}, STAGE
)
"""What each intervention along the first vector costs."""
PROMPTED_ANSWERS = Table(
    "reports/prompting/{model}/answers.parquet",
    {
        "method": pl.String,
        "towards": pl.Boolean,
        "n_examples": pl.Int32,
        "seed": pl.Int32,
        **QUESTION,
        **LOG_ODDS,
    },
    STAGE,
)
"""A row a prompting method (or steering by as many examples) and question; `log_odds_after` is NaN
where the prompt does not fit into the model's context."""

FOLDER = "reports/interventions/{model}"
COUNTS = {"n": pl.Int64, "n_items": pl.Int64}
DOSE_RESPONSE = Table(
    f"{FOLDER}/dose_response.csv",
    {
        **CONDITION,
        "family": pl.String,
        **COUNTS,
        "n_0": pl.Int64,
        "n_1": pl.Int64,
        "baseline_rate_0": pl.Float64,
        "baseline_rate_1": pl.Float64,
        "baseline_probability_0": pl.Float64,
        "baseline_probability_1": pl.Float64,
        "probability_0": pl.Float64,
        "probability_1": pl.Float64,
        **estimate("shift"),
        **estimate("wrong_way_share"),
        **estimate("rate_0"),
        **estimate("rate_1"),
        **estimate("rate_difference"),
    },
    TABLES_STAGE,
)
"""Sycophantic shares under each condition, by the label (0 or 1) of the unchanged answer."""
CAUSAL_EFFECTS = Table(
    f"{FOLDER}/causal_effects.csv",
    {
        "vector": pl.String,
        "layer": pl.Int64,
        "family": pl.String,
        **COUNTS,
        **estimate("slope"),
        **estimate("removal"),
        "n_random": pl.Int64,
        "random_slope_lowest": pl.Float64,
        "random_slope_highest": pl.Float64,
        "slope_p": pl.Float64,
        "random_removal_lowest": pl.Float64,
        "random_removal_highest": pl.Float64,
        "removal_p": pl.Float64,
    },
    TABLES_STAGE,
)
"""The effect of adding and of removing each vector at its layer, among the effects of random
vectors of the same norm there."""
TWO_LAYERS = Table(
    f"{FOLDER}/two_layers.csv",
    {
        "vector": pl.String,
        "family": pl.String,
        "layer": pl.Int64,
        "second_layer": pl.Int64,
        "coefficient": pl.Float64,
        **COUNTS,
        **estimate("shift"),
        **estimate("nonadditivity"),
    },
    TABLES_STAGE,
)
"""The shift of the log-odds where a vector is added at two layers, and its difference from the sum
of both shifts; intervals of the latter are simultaneous."""
EFFECTS = Table(
    f"{FOLDER}/effects.csv",
    {
        "vector": pl.String,
        "layer": pl.Int64,
        "family": pl.String,
        **COUNTS,
        **estimate("slope"),
        **estimate("removal"),
        **estimate("auroc"),
    },
    TABLES_STAGE,
)
"""The effect of adding and of removing each vector at each layer, beside its AUROC on `test`."""
AGREEMENT = Table(
    f"{FOLDER}/agreement.csv",
    {
        "family": pl.String,
        "n": pl.Int64,
        "n_vectors": pl.Int64,
        **estimate("slope"),
        **estimate("removal"),
    },
    TABLES_STAGE,
)
"""Rank correlations, over vectors and layers, of the AUROC with `slope` and with `removal`."""
SIDE_EFFECTS = Table(f"{FOLDER}/side_effects.csv", STEERING_SIDE_EFFECTS.columns, TABLES_STAGE)
"""`STEERING_SIDE_EFFECTS` as a CSV table."""
AFTER_ABLATION = {**estimate("auroc"), **estimate("auroc_after")}
"""AUROC of the unchanged model's labels, and of the labels after the intervention."""
ABLATION = Table(
    f"{FOLDER}/ablation.csv",
    {
        **CONDITION,
        "family": pl.String,
        "readout_vector": pl.String,
        "readout_layer": pl.Int64,
        **COUNTS,
        "n_sycophantic_after": pl.Int64,
        **AFTER_ABLATION,
    },
    TABLES_STAGE,
)
"""Predictivity of activations after an ablation."""
GENERATION = Table(
    f"{FOLDER}/generation.csv",
    {
        "family": pl.String,
        "coefficient": pl.Float64,
        "n": pl.Int64,
        "unparsed_share": pl.Float64,
        "sycophantic_share": pl.Float64,
    },
    TABLES_STAGE,
)
"""Shares of the model's own responses that cannot be parsed, and of the others, sycophantic."""
TEXTS = Table(
    f"{FOLDER}/texts.csv",
    {
        "family": pl.String,
        "label": pl.Int8,
        "question": pl.String,
        "minus": pl.String,
        "baseline": pl.String,
        "plus": pl.String,
    },
    TABLES_STAGE,
)
"""A few responses with the lowest coefficient, with none and with the highest."""
CHANGED = {
    **COUNTS,
    "n_seeds": pl.Int64,
    "n_changed": pl.Int64,
    **estimate("shift"),
    **estimate("changed_share"),
}
"""Of `n` questions, `n_changed` are answered the other way by the unchanged model; the
`changed_share` is of these. Missing where prompts do not fit."""
PROMPTING = Table(
    f"{FOLDER}/prompting.csv",
    {
        "method": pl.String,
        "towards": pl.Boolean,
        "n_examples": pl.Int64,
        "family": pl.String,
        **CHANGED,
    },
    TABLES_STAGE,
)
"""Prompting beside steering by as many examples."""
HEADLINE = Table(
    f"{FOLDER}/headline.csv",
    {
        "family": pl.String,
        "n": pl.Int64,
        "baseline_rate_0": pl.Float64,
        **estimate("steered_rate"),
        "baseline_rate_1": pl.Float64,
        **estimate("reversed_rate"),
        "random_rate": pl.Float64,
        "random_rate_highest": pl.Float64,
        "random_share": pl.Float64,
        **estimate("ablation_effect"),
    },
    TABLES_STAGE,
)
"""The suite's first intervention vector in one row a family."""
