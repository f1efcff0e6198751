"""All tables about interventions in one model, from the answers of its runs."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.config.suite import Suite
from sycophancy_steering.interventions.ablation_tables import auroc_after_ablation
from sycophancy_steering.interventions.causal_effects import causal_effects
from sycophancy_steering.interventions.dose_response import dose_response, two_layers
from sycophancy_steering.interventions.effects import agreement, effects, with_predictivity
from sycophancy_steering.interventions.generation_tables import generation_table, quoted_texts
from sycophancy_steering.interventions.headline import contradictions, headline_table
from sycophancy_steering.interventions.prompting_tables import changed_shares
from sycophancy_steering.organisms.ground_truth import PLANTED_FILE, read_planted_cause
from sycophancy_steering.schemas.interventions import (
    ABLATION,
    ABLATION_SCORES,
    AGREEMENT,
    CAUSAL_EFFECTS,
    DOSE_RESPONSE,
    EFFECTS,
    GENERATION,
    GENERATIONS,
    HEADLINE,
    PARTS,
    PROMPTED_ANSWERS,
    PROMPTING,
    SIDE_EFFECTS,
    STEERED_ANSWERS,
    STEERING_SIDE_EFFECTS,
    TEXTS,
    TWO_LAYERS,
)
from sycophancy_steering.schemas.paths import MODELS
from sycophancy_steering.storage.cell_files import evaluated_sets, read_cells

PLANTED_FAMILIES = ("opinion", "misconception")
"""Families that the planted cause of an organism decides."""


def write_intervention_tables(model: str, suite: Suite) -> pl.DataFrame:
    """Writes reports/interventions/MODEL; returns the table `HEADLINE` of the suite's first vector.

    Raises InputError where a table that it reads is missing.
    """
    answers = STEERED_ANSWERS.read(model=model)
    parts = {part: answers.filter(pl.col("part") == part).drop("part") for part in PARTS}
    responses = dose_response(parts["dose_response"])
    cells = read_cells(model, evaluated_sets(model, suite.extraction_sets))
    compared = with_predictivity(effects(parts["comparison"]), cells)
    generations = GENERATIONS.read(model=model)
    of_headline = responses.filter(pl.col("vector") == suite.intervention_vectors[0])
    rows = headline_table(of_headline)
    for table, rows_of_table in (
        (DOSE_RESPONSE, responses),
        (CAUSAL_EFFECTS, causal_effects(parts["dose_response"])),
        (TWO_LAYERS, two_layers(parts["two_layers"])),
        (EFFECTS, compared),
        (AGREEMENT, agreement(compared)),
        (SIDE_EFFECTS, STEERING_SIDE_EFFECTS.read(model=model)),
        (ABLATION, auroc_after_ablation(ABLATION_SCORES.read(model=model))),
        (GENERATION, generation_table(generations)),
        (TEXTS, quoted_texts(generations)),
        (PROMPTING, changed_shares(PROMPTED_ANSWERS.read(model=model))),
        (HEADLINE, rows),
    ):
        table.write(rows_of_table, model=model)
    return rows


def contradictions_of(model: str, headline: pl.DataFrame) -> list[str]:
    """What in the table `HEADLINE` contradicts the cause planted in a model organism; nothing for
    other models."""
    if not (MODELS / model / PLANTED_FILE).exists():
        return []
    truth = read_planted_cause(MODELS / model)
    planted = headline.filter(pl.col("family").is_in(PLANTED_FAMILIES))
    return [f"{model}: {contradiction}" for contradiction in contradictions(truth, planted)]
