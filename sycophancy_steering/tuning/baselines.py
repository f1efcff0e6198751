"""Answers of fine-tuned models, with and without steering, and of the plain model steered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.workers import LocalWorkers
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.conditions import SteeringVector
from sycophancy_steering.interventions.few_shot_vectors import PairDifferences
from sycophancy_steering.interventions.plain_facts import PlainFact
from sycophancy_steering.interventions.prompting import sample_examples
from sycophancy_steering.interventions.question_batch import QuestionBatch
from sycophancy_steering.interventions.side_effects import neutral_nll, side_effects
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.interventions import LOG_ODDS, QUESTION
from sycophancy_steering.schemas.tuning import RUN
from sycophancy_steering.tuning.trained_models import TrainedModels
from sycophancy_steering.tuning.training_runs import (
    CAPITALS,
    PAIRS,
    TRUE_LABELS,
    TrainingRun,
    is_mislabelled,
    label_sources,
)

UNTRAINED = "as it is"
"""The `method` of the plain model's side effects."""


@dataclass(frozen=True)
class PlainResults:
    """What fine-tuned models are compared with."""

    log_odds: Floats
    """(n,): of the sycophantic answer to each question."""
    neutral_nll: Floats
    """(sentences,): nats per token of neutral text."""


@dataclass(frozen=True)
class BaselineComparison:
    """The questions, examples and vectors that fine-tuning is compared with steering on."""

    models: TrainedModels
    study: Study
    weakly_mislabelled: frozenset[str]
    """The ids of pairs that the weak labeller gets wrong."""
    """Prompt tokens in memory at a time."""

    @cached_property
    def steering_vector(self) -> SteeringVector:
        """The study's vector."""
        return self.study.steering_vector()

    @cached_property
    def questions(self) -> pl.DataFrame:
        """The questions of `test`."""
        return self.study.sample("test")

    @cached_property
    def example_pool(self) -> list[Row]:
        """The questions that examples are sampled from."""
        return self.study.example_pool()

    @cached_property
    def facts(self) -> list[PlainFact]:
        """Plain facts, knowledge of which training may cost."""
        return self.study.facts()

    @cached_property
    def pairs(self) -> PairDifferences:
        """Their activations."""
        return PairDifferences(self.study.model, self.study.prompt_set)

    def plain_results(self, plain: LocalWorkers) -> PlainResults:
        """The results of the plain model, which need not stay in memory then."""
        nll = neutral_nll(plain, [NO_INTERVENTION])[0]
        return PlainResults(self._batch(plain).log_odds()[0], nll)

    def trained_answers(
        self, runs: Sequence[TrainingRun], plain: PlainResults
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The tables `BASELINE_ANSWERS` and `BASELINE_SIDE_EFFECTS` of the runs.

        The method is that of the run, or that with ` + steering`: the mean difference of the same
        examples added with coefficient 1 in the direction of the run. The control is not steered,
        and its method is called `sft on capitals`.
        """
        answers, costs = [], []
        for run in tqdm(runs, unit="run", disable=None, desc=f"{self.study.model}, fine-tuned"):
            model = self.models.trained(run)
            method = run.method if run.training_set == PAIRS else f"{run.method} on {CAPITALS}"
            interventions = {method: NO_INTERVENTION}
            if run.training_set == PAIRS:
                interventions[f"{method} + steering"] = self._steering(run)
            log_odds = self._batch(model).log_odds([*interventions.values()])
            for name, after in zip(interventions, log_odds, strict=True):
                answers.append(self._answers(run, name, plain.log_odds, after))
            effects = side_effects(model, [], self.facts, plain.neutral_nll)
            costs.append(_with_run(effects, run, method))
            del model
        return pl.concat(answers), pl.concat(costs)

    def steered_answers(
        self, plain: LocalWorkers, settings: TuningSettings
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The same tables of the plain model, steered with vectors from as many examples and the
        same labels; and its side effects without steering."""
        runs = [*steering_runs(settings)]
        interventions = [self._steering(run) for run in runs]
        before, *log_odds = self._batch(plain).log_odds([NO_INTERVENTION, *interventions])
        costs_of_all = side_effects(plain, interventions, self.facts)
        unsteered, *steered = costs_of_all.iter_slices(1)
        answers = [
            self._answers(run, "steering", before, after)
            for run, after in zip(runs, log_odds, strict=True)
        ]
        no_examples = replace(runs[0], n_examples=0)
        costs = [_with_run(unsteered, no_examples, UNTRAINED)]
        costs += [
            _with_run(effects, run, "steering") for effects, run in zip(steered, runs, strict=True)
        ]
        return pl.concat(answers), pl.concat(costs)

    def vector_of(self, run: TrainingRun) -> SteeringVector:
        """The mean difference of a run's examples, with its labels."""
        mean_difference = self.pairs.mean_difference(
            self.steering_vector.layer, *self.examples_of(run)
        )
        return replace(self.steering_vector, vector=mean_difference)

    def examples_of(self, run: TrainingRun) -> tuple[list[str], set[str]]:
        """The ids of a run's examples, and those that are mislabelled."""
        ids = [row.id for row in sample_examples(self.example_pool, run.n_examples, run.seed)]
        swapped = {
            id
            for id in ids
            if is_mislabelled(id, run.label_source, run.seed, self.weakly_mislabelled)
        }
        return ids, swapped

    def _steering(self, run: TrainingRun) -> Intervention:
        change = self.vector_of(run).addition(1.0 if run.towards else -1.0)
        return Intervention({self.steering_vector.layer: change}, self.study.settings.where)

    def _batch(self, workers: LocalWorkers) -> QuestionBatch:
        return self.study.questions(self.questions, workers)

    def _answers(
        self, run: TrainingRun, method: str, before: Floats, after: Floats
    ) -> pl.DataFrame:
        answers = self.questions.select(
            *QUESTION,
            pl.Series("log_odds_before", before),
            pl.Series("log_odds_after", after),
        )
        return _with_run(answers, run, method)


def steering_runs(settings: TuningSettings) -> Iterator[TrainingRun]:
    """The runs whose examples the plain model is steered with: all numbers of examples with true
    labels, the largest with the other label sources."""
    for towards in (True, False):
        for seed in range(settings.n_seeds):
            for n_examples in settings.n_examples:
                yield TrainingRun("sft", towards, n_examples, seed)
            for source in label_sources(settings):
                yield TrainingRun("sft", towards, max(settings.n_examples), seed, source)


def compared_runs(runs: Sequence[TrainingRun]) -> list[TrainingRun]:
    """The runs on the pairs that vectors are made from, and their control on the same questions."""
    return [run for run in runs if run.training_set in (PAIRS, CAPITALS)]


def prompting_rows(prompted: pl.DataFrame) -> pl.DataFrame:
    """The table `PROMPTED_ANSWERS` as rows of `BASELINE_ANSWERS`, without `steering`."""
    prompts = prompted.filter(pl.col("method") != "steering").with_columns(
        label_source=pl.lit(TRUE_LABELS)
    )
    run = (pl.col(column).cast(dtype) for column, dtype in RUN.items())
    return prompts.select(*run, *QUESTION, *LOG_ODDS)


def _with_run(table: pl.DataFrame, run: TrainingRun, method: str) -> pl.DataFrame:
    """`table` after the columns `RUN`."""
    values = (method, run.towards, run.n_examples, run.seed, run.label_source)
    columns = (
        pl.lit(value, dtype).alias(name)
        for (name, dtype), value in zip(RUN.items(), values, strict=True)
    )
    return table.select(*columns, pl.all())
