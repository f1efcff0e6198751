"""Runs a model under all planned conditions: answers, responses, ablation and side effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.interventions.ablation_readout import ablation_scores
from sycophancy_steering.interventions.conditions import Condition, condition_columns
from sycophancy_steering.interventions.eligible_answers import sample_answers
from sycophancy_steering.interventions.question_batch import QuestionBatch
from sycophancy_steering.interventions.side_effects import side_effects
from sycophancy_steering.interventions.steering_plan import planned_conditions
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.questions.answer_parsing import find_answer
from sycophancy_steering.schemas.interventions import (
    ABLATION_SCORES,
    CONDITION,
    GENERATIONS,
    OWN,
    STEERED_ANSWERS,
    STEERING_SIDE_EFFECTS,
)
from sycophancy_steering.schemas.table import Table
from sycophancy_steering.storage.vector_files import read_vectors

N_ABLATION = 100
"""Answers of each family and class, at most, whose activations are read after an ablation."""
ABLATIONS = [
    *((OWN, kind) for kind in ("remove", "mean", "everywhere", "leace")),
    ("random 1", "remove"),
]
"""Direction and kind of the conditions after which activations are read."""


def steering_results(
    study: Study, language_model: LanguageModel, budget: int, max_new_tokens: int
) -> list[tuple[Table, pl.DataFrame]]:
    """The tables that steering a model gives, each after its contract.

    `budget` is the number of prompt tokens in memory at a time.
    """
    vectors = read_vectors(study.vector_file)[0].astype(np.float64)
    answers, generations, ablations = [], [], []
    own: list[Condition] = []
    sample = study.sample("test")
    for family in sample["family"].unique(maintain_order=True):
        description = f"{study.model}: {family}"
        planned = planned_conditions(study.unsteered(family), study.settings, study.suite)
        of_vector = [
            condition for condition in planned["dose_response"] if condition.vector == study.vector
        ]
        # Side effects are measured with the conditions of the first family.
        own = own or of_vector

        of_family = pl.col("family") == family
        test, larger_select, larger_test = (
            QuestionBatch.from_answers(part, study.prompts, language_model, budget)
            for part in (
                sample.filter(of_family),
                sample_answers(study.split("select").filter(of_family), N_ABLATION),
                sample_answers(study.split("test").filter(of_family), N_ABLATION),
            )
        )
        answers.append(_steered_answers(test, planned, description))
        generations.append(_generations(test, of_vector, max_new_tokens))
        ablated = [
            condition
            for condition in of_vector
            if (condition.direction, condition.kind) in ABLATIONS
        ]
        ablations.append(ablation_scores(ablated, vectors, larger_select, larger_test, description))
    columns = pl.DataFrame([condition_columns(None), *map(condition_columns, own)], CONDITION)
    costs = side_effects(language_model, budget, [condition.intervention for condition in own])
    return [
        (STEERED_ANSWERS, pl.concat(answers)),
        (GENERATIONS, pl.concat(generations)),
        (ABLATION_SCORES, pl.concat(ablations)),
        (STEERING_SIDE_EFFECTS, pl.concat([columns, costs], how="horizontal")),
    ]


def _steered_answers(
    questions: QuestionBatch, planned: Mapping[str, Sequence[Condition]], description: str
) -> pl.DataFrame:
    """The rows of `STEERED_ANSWERS` of one family."""
    conditions = [(part, condition) for part, group in planned.items() for condition in group]
    interventions = [NO_INTERVENTION, *(condition.intervention for _, condition in conditions)]
    total = len(interventions) * len(questions.rows)
    with tqdm(total=total, unit="answer", disable=None, desc=description) as bar:
        before, *after = questions.log_odds(interventions, bar.update)
    sample = questions.answers.select(
        "id", "item", "family", "label", pl.Series("log_odds_before", before)
    )
    tables = []
    for (part, condition), log_odds in zip(conditions, after, strict=True):
        columns = [
            pl.lit(value, CONDITION[column]).alias(column)
            for column, value in condition_columns(condition).items()
        ]
        tables.append(
            sample.select(
                pl.lit(part).alias("part"),
                *columns,
                pl.all(),
                pl.Series("log_odds_after", log_odds),
            )
        )
    return pl.concat(tables)


def _generations(
    questions: QuestionBatch, conditions: Sequence[Condition], max_new_tokens: int
) -> pl.DataFrame:
    """The rows of `GENERATIONS` of one family: without an intervention (coefficient 0), and with
    each coefficient."""
    added = [
        condition
        for condition in conditions
        if condition.direction == OWN and condition.kind == "add"
    ]
    interventions = [NO_INTERVENTION, *(condition.intervention for condition in added)]
    rows = questions.rows
    responses = questions.forward.continuations(rows, interventions, max_new_tokens)
    coefficients = [0.0, *(condition.coefficient for condition in added)]
    tables = []
    for coefficient, texts in zip(coefficients, responses, strict=True):
        parsed = [
            find_answer(text, [*row.choices], row.form)
            for text, row in zip(texts, rows, strict=True)
        ]
        letters = [answer.letter if answer else None for answer in parsed]
        tables.append(
            questions.answers.select("id", "item", "family", "label").with_columns(
                pl.lit(coefficient, pl.Float64).alias("coefficient"),
                pl.Series("question", [row.messages[-1].content for row in rows]),
                pl.Series("response", texts),
                pl.Series("parsed_answer", letters, pl.String),
                pl.Series("sycophantic_answer", [row.matching for row in rows]),
            )
        )
    return pl.concat(tables)
