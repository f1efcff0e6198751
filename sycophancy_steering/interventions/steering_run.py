"""Runs a model under all planned conditions: answers, responses, ablation and side effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.engine.workers import Workers
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

STEERING_TABLES = (STEERED_ANSWERS, GENERATIONS, ABLATION_SCORES, STEERING_SIDE_EFFECTS)
ABLATIONS = [
    *((OWN, kind) for kind in ("remove", "mean", "everywhere", "leace")),
    ("random 1", "remove"),
]
"""Direction and kind of the conditions after which activations are read."""
COSTED_RANDOM = ("random 1", "add")
"""The random vector whose side effects are measured, and what is done with it."""
SPLITS = ("select", "test")


def steering_results(
    study: Study, workers: Workers, max_new_tokens: int
) -> list[tuple[Table, pl.DataFrame]]:
    """The tables that steering a model gives, each after its contract."""
    answers, ablations = [], [ABLATION_SCORES.empty()]
    own: list[Condition] = []
    layer_of = {name: study.layer_of(name) for name in study.suite.intervention_vectors}
    sample = study.sample("test")
    for family in sample["family"].unique(maintain_order=True):
        description = f"{study.model}: {family}"
        planned = planned_conditions(
            study.unsteered(family), study.settings, layer_of, study.suite.extraction_sets
        )
        of_vector = [
            condition for condition in planned["dose_response"] if condition.vector == study.vector
        ]
        # What is added is the same for all families; for side effects and responses, the conditions
        # of the first will do.
        own = own or of_vector

        of_family = pl.col("family") == family
        test = study.questions(sample.filter(of_family), workers)
        answers.append(_steered_answers(test, planned, description))
        if study.settings.n_ablation:
            ablations.append(_ablation_scores(study, family, of_vector, workers))
    costed = [
        condition
        for condition in own
        if condition.direction == OWN or (condition.direction, condition.kind) == COSTED_RANDOM
    ]
    columns = pl.DataFrame([condition_columns(None), *map(condition_columns, costed)], CONDITION)
    costs = side_effects(workers, [condition.intervention for condition in costed], study.facts())
    quoted = study.questions(sample_answers(sample, study.settings.n_responses), workers)
    results = (
        pl.concat(answers),
        _generations(quoted, own, max_new_tokens),
        pl.concat(ablations),
        pl.concat([columns, costs], how="horizontal"),
    )
    return [*zip(STEERING_TABLES, results, strict=True)]


def _ablation_scores(
    study: Study,
    family: str,
    conditions: Sequence[Condition],
    workers: Workers,
) -> pl.DataFrame:
    """The rows of `ABLATION_SCORES` of one family."""
    vectors = read_vectors(study.vector_file)[0].astype(np.float64)
    ablated = [
        condition for condition in conditions if (condition.direction, condition.kind) in ABLATIONS
    ]
    select, test = (
        study.questions(answers.filter(pl.col("family") == family), workers)
        for answers in (study.sample(split, study.settings.n_ablation) for split in SPLITS)
    )
    return ablation_scores(ablated, vectors, select, test, f"{study.model}: {family}")


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
    """The rows of `GENERATIONS`: without an intervention (coefficient 0), and with
    the lowest and the highest coefficient."""
    own = [
        condition
        for condition in conditions
        if (condition.direction, condition.kind) == (OWN, "add")
    ]
    by_coefficient = sorted(own, key=lambda condition: condition.coefficient)
    added = (by_coefficient[0], by_coefficient[-1])
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
