"""A model's answers under every prompting method, and steered by vectors of as many examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.workers import Workers
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.few_shot_vectors import PairDifferences
from sycophancy_steering.interventions.prompting import prompting_methods, sample_examples
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.interventions import PROMPTED_ANSWERS


def prompted_answers(study: Study, prompting: PromptingSettings, workers: Workers) -> pl.DataFrame:
    """The table `PROMPTED_ANSWERS` of the study's sample of `test`."""
    pool, vector = study.example_pool(), study.steering_vector()
    sample = study.sample("test", prompting.n_questions)
    if prompting.families == "own":
        sample = sample.filter(pl.col("family").is_in({row.family for row in pool}))
    if not len(sample):
        return PROMPTED_ANSWERS.empty()
    questions = study.questions(sample, workers)
    pairs = PairDifferences(study.model, study.prompt_set)
    steered = [
        (
            {"method": name, "towards": coefficient > 0, "n_examples": n_examples, "seed": seed},
            replace(vector, vector=values).addition(coefficient),
        )
        for name, n_examples, seed, values in _example_vectors(pairs, prompting, pool, vector.layer)
        for coefficient in (-1.0, 1.0)
    ]
    where = study.settings.where
    interventions = [Intervention({vector.layer: change}, where) for _, change in steered]
    before, *after_steering = questions.log_odds([NO_INTERVENTION, *interventions])
    results: list[tuple[dict[str, object], Floats]] = []
    methods = [*prompting_methods(prompting, pool)]
    for method in tqdm(methods, unit="method", disable=None, desc=f"{study.model}, prompting"):
        reprompted = questions.reprompted(method.prompt)
        fits = reprompted.forward.fits_context
        after = reprompted.log_odds()[0] if fits else np.full(len(sample), np.nan)
        columns: dict[str, object] = {"method": method.name, "towards": method.towards}
        columns |= {"n_examples": method.n_examples, "seed": method.seed}
        results.append((columns, after))
    results += [
        (columns, after) for (columns, _), after in zip(steered, after_steering, strict=True)
    ]
    return pl.concat(_answers(sample, columns, before, after) for columns, after in results)


def _answers(
    sample: pl.DataFrame, columns: dict[str, object], before: Floats, after: Floats
) -> pl.DataFrame:
    """The rows of `PROMPTED_ANSWERS` of one method."""
    constant = (
        pl.lit(value, PROMPTED_ANSWERS.columns[column]).alias(column)
        for column, value in columns.items()
    )
    return sample.select(
        *constant,
        "id",
        "item",
        "family",
        "label",
        pl.Series("log_odds_before", before),
        pl.Series("log_odds_after", after),
    )


def _example_vectors(
    pairs: PairDifferences, prompting: PromptingSettings, pool: list[Row], layer: int
) -> Iterator[tuple[str, int, int, Floats]]:
    """Vectors (d_model,) of the examples that prompts show: method, number, seed and vector."""
    for n_examples in prompting.n_examples:
        for seed in range(prompting.n_seeds):
            ids = [row.id for row in sample_examples(pool, n_examples, seed)]
            if "steering" in prompting.methods:
                yield "steering", n_examples, seed, pairs.mean_difference(layer, ids)
            if "in-context vector" in prompting.methods:
                yield "in-context vector", n_examples, seed, pairs.in_context_vector(layer, ids)
