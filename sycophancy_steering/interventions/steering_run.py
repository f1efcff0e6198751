"""Asks a model under all that is planned: what it finds likely, what it says, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.interventions.ablation_readout import read_again
from sycophancy_steering.interventions.question_batch import QuestionBatch
from sycophancy_steering.interventions.side_effects import side_effects
from sycophancy_steering.interventions.conditions import Condition, condition_columns, sample_answers
from sycophancy_steering.interventions.steering_plan import UnsteeredActivations, planned_conditions
from sycophancy_steering.interventions.steering_settings import CONDITION, OWN
from sycophancy_steering.questions.answer_parsing import find_answer
from sycophancy_steering.storage.vector_files import read_vectors

TABLES = ("answers", "said", "afterwards", "costs")
READ = 100
"""Answers of each family and kind, at most, whose states are read again."""
READ_AFTER = [(OWN, kind) for kind in ("remove", "mean", "everywhere", "leace")]
READ_AFTER.append(("random 1", "remove"))
"""What is taken out then."""


def steering_tables(
    model: str,
    language_model: LanguageModel,
    settings: InterventionSettings,
    labels: pl.DataFrame,
    on: str,
    budget: int,
    most: int,
) -> dict[str, pl.DataFrame]:
    """The `TABLES`: log-odds of every answer, before and after, under every intervention; what the
    model says with the first of the vectors; what can still be read once it is taken out; and what
    becomes of facts and of ordinary text.

    `labels` are those of the prompt set `on`, with the `row` of each; `budget` tokens of prompts
    are in memory at a time, and `most` said.
    """
    activations = Path(f"data/activations/{model}/{on}")
    prompts = Path(f"data/prompts/{on}.parquet")
    test, select = (labels.filter(pl.col("split") == split) for split in ("test", "select"))
    asked, first = sample_answers(test, settings.n_questions), settings.vectors[0]
    made, _ = read_vectors(Path(f"vectors/{model}/{first}.safetensors"))
    answers, spoken, again, costly = [], [], [], []
    for family in asked["family"].unique(maintain_order=True):
        planned = planned_conditions(UnsteeredActivations(model, activations, select, family), settings)
        own = [each for each in planned["doses"] if each.vector == first]
        about = f"{model}: {family}"

        def of(held: pl.DataFrame, most: int, family: str = family) -> QuestionBatch:
            some = sample_answers(held.filter(pl.col("family") == family), most)
            return QuestionBatch.from_answers(some, prompts, language_model, budget)

        questions = of(asked, settings.n_questions)
        answers.append(_log_odds_table(questions, planned, about))
        spoken.append(_generation_table(questions, own, most))
        removed = [each for each in own if (each.direction, each.kind) in READ_AFTER]
        again.append(
            read_again(removed, made.astype(np.float64), of(select, READ), of(test, READ), about)
        )
        costly = costly or own
    done = pl.DataFrame([condition_columns(None), *map(condition_columns, costly)], CONDITION)
    found = side_effects(language_model, budget, [each.intervention for each in costly])
    tables = [pl.concat(each) for each in (answers, spoken, again)]
    tables.append(pl.concat([done, found], how="horizontal"))
    return dict(zip(TABLES, tables, strict=True))


def _log_odds_table(questions: QuestionBatch, planned: dict[str, list[Condition]], about: str) -> pl.DataFrame:
    """A row a condition and question: log-odds of the sycophantic answer, before and after."""
    conditions = [(part, each) for part, held in planned.items() for each in held]
    interventions = [NO_INTERVENTION, *(each.intervention for _, each in conditions)]
    total = len(interventions) * len(questions.rows)
    with tqdm(total=total, unit="answer", disable=None, desc=about) as bar:
        odds = questions.log_odds(interventions, bar.update)
    before, tables = pl.Series("before", odds[0]), []
    for (part, each), after in zip(conditions, odds[1:], strict=True):
        done = (pl.lit(value, CONDITION[key]).alias(key) for key, value in condition_columns(each).items())
        answers = questions.answers.select(
            "id", "item", "family", "label", before, pl.Series("after", after)
        )
        tables.append(answers.select(pl.lit(part).alias("part"), *done, pl.all()))
    return pl.concat(tables)


def _generation_table(questions: QuestionBatch, conditions: Sequence[Condition], most: int) -> pl.DataFrame:
    """What the model says by itself, and with a vector in each dose: a row a dose and question,
    `read` being the letter of the answer it was found to be, if any."""
    added = [each for each in conditions if each.direction == OWN and each.kind == "add"]
    rows, tables = questions.rows, []
    doses = [0.0, *(each.coefficient for each in added)]
    spoken = questions.forward.continuations(rows, [NO_INTERVENTION, *(each.intervention for each in added)], most)
    for dose, texts in zip(doses, spoken, strict=True):
        read = [
            find_answer(text, [*row.choices], row.form)
            for text, row in zip(texts, rows, strict=True)
        ]
        tables.append(
            questions.answers.select("id", "item", "family", "label").with_columns(
                pl.lit(dose).alias("dose"),
                pl.Series("question", [row.messages[-1].content for row in rows]),
                pl.Series("answer", texts),
                pl.Series("read", [each.letter if each else None for each in read], pl.String),
                pl.Series("sycophantic", [row.matching for row in rows]),
            )
        )
    return pl.concat(tables)
