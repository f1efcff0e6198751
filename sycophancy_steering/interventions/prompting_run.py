"""A model's answers, asked in each way and steered by vectors of as many examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention, Where
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.few_shot_vectors import PairDifferences
from sycophancy_steering.interventions.prompting import sample_examples, prompting_methods
from sycophancy_steering.interventions.question_batch import QuestionBatch
from sycophancy_steering.interventions.conditions import SteeringVector
from sycophancy_steering.questions.prompt_table import read_prompts
from sycophancy_steering.questions.question import Row


def prompted_answers(
    model: str,
    language_model: LanguageModel,
    prompting: PromptingSettings,
    where: Where,
    along: SteeringVector,
    asked: pl.DataFrame,
    on: str,
    budget: int,
) -> pl.DataFrame:
    """A row a way (`way`, `towards`, `examples`, `seed`) and question: log-odds of the sycophantic
    answer, `before` as it is asked in the set `on`, and `after`; NaN where the model's context is
    too short for what is to be shown."""
    prompt_set = along.vector.partition("/")[0]
    pool = read_prompts(Path(f"data/prompts/{prompt_set}.parquet"))
    questions = QuestionBatch.from_answers(asked, Path(f"data/prompts/{on}.parquet"), language_model, budget)
    pairs = PairDifferences(model, prompt_set)
    few = [
        (
            {"way": way, "towards": dose > 0, "examples": count, "seed": seed},
            Intervention({along.layer: replace(along, values=vector).addition(dose)}, where),
        )
        for way, count, seed, vector in _example_vectors(pairs, prompting, pool, along.layer)
        for dose in (-1.0, 1.0)
    ]
    odds = questions.log_odds([NO_INTERVENTION, *(each for _, each in few)])
    before, tables = pl.Series("before", odds[0]), []

    def keep(after: Floats, **way: object) -> None:
        done = (pl.lit(value).alias(key) for key, value in way.items())
        answers = asked.select("id", "item", "family", "label", before, pl.Series("after", after))
        tables.append(answers.select(*done, pl.all()))

    for way in tqdm([*prompting_methods(prompting, pool)], unit="way", disable=None, desc=f"{model} asked"):
        asked_so = questions.reprompted(way.prompt)
        nothing = np.full(len(asked), np.nan)
        after = asked_so.log_odds()[0] if asked_so.forward.fits_context else nothing
        about = {"towards": way.towards, "examples": way.examples, "seed": way.seed}
        keep(after, way=way.name, **about)
    for (about, _), after in zip(few, odds[1:], strict=True):
        keep(after, **about)
    return pl.concat(tables)


def _example_vectors(
    pairs: PairDifferences, prompting: PromptingSettings, pool: list[Row], layer: int
) -> Iterator[tuple[str, int, int, Floats]]:
    """Vectors (d_model,) of the examples that are shown, after their kind, number and seed."""
    for count in prompting.n_examples:
        for seed in range(prompting.n_seeds):
            ids = [row.id for row in sample_examples(pool, count, seed)]
            yield "steering", count, seed, pairs.mean_difference(layer, ids)
            yield "in-context vector", count, seed, pairs.in_context_vector(layer, ids)
