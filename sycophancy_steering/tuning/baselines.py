"""Asks trained models what the plain one is asked, and steers them too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.few_shot_vectors import PairDifferences
from sycophancy_steering.interventions.prompting import sample_examples
from sycophancy_steering.interventions.question_batch import QuestionBatch
from sycophancy_steering.interventions.side_effects import side_effects, neutral_nll
from sycophancy_steering.interventions.conditions import SteeringVector
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.questions.question import Row
from sycophancy_steering.tuning.training_runs import PAIRS, TRUE_LABELS, TrainingRun, label_sources, is_mislabelled

DONE = {"way": pl.String, "towards": pl.Boolean, "examples": pl.Int64, "seed": pl.Int64}
DONE |= {"labels": pl.String}
ANSWERS = ("id", "item", "family", "label", "before", "after")


class TrainedModels:
    """A model as it is, and the models that were trained from it."""

    def __init__(self, model: str, placement: ModelSettings):
        self.model, self.placement = model, placement

    def plain(self) -> LanguageModel:
        return load_language_model(Path(f"data/models/{self.model}"), self.placement)

    def trained(self, run: TrainingRun) -> LanguageModel:
        """Each is loaded anew, as what is added to weights cannot be taken out of them exactly."""
        adapter = Path(f"data/adapters/{self.model}/{run.name}")
        return load_language_model(Path(f"data/models/{self.model}"), self.placement, adapter)


@dataclass(frozen=True)
class PlainResults:
    """What is known of the plain model."""

    odds: Floats
    """Log-odds of the sycophantic answer to each question."""
    nats: Floats
    """A token of neutral text."""


@dataclass(frozen=True)
class BaselineComparison:
    """What trained models are held against, and asked."""

    tuned: TrainedModels
    study: Study
    read_wrong: frozenset[str]
    """Questions whose answers the weak reader takes for one another."""
    budget: int

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
        """What examples are drawn from."""
        return self.study.example_pool()

    @cached_property
    def pairs(self) -> PairDifferences:
        """Its states."""
        return PairDifferences(self.study.model, self.study.prompt_set)

    def plain_results(self, plain: LanguageModel) -> PlainResults:
        """What is known of the plain model, so that no other is in memory beside a trained one."""
        nats = neutral_nll(plain, self.budget, [NO_INTERVENTION])[0]
        return PlainResults(self._questions(plain).log_odds()[0], nats)

    def trained_answers(self, every: Sequence[TrainingRun], as_it_is: PlainResults) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A row a way (`DONE`) and question: log-odds of the sycophantic answer, `before` any
        training, and `after`; and a row a run: what it cost.

        `way` is a method of training, or one with ` + steering`: one natural gap along the mean
        difference of the same examples, in the same direction.
        """
        answers, costly = [], []
        for run in tqdm(every, unit="run", disable=None, desc=f"{self.tuned.model} after training"):
            model = self.tuned.trained(run)
            alone, both = self._questions(model).log_odds([NO_INTERVENTION, self._added(run)])
            for way, after in ((run.method, alone), (f"{run.method} + steering", both)):
                answers.append(_answers(self.questions, as_it_is.odds, after, run, way))
            costly.append(_done(side_effects(model, self.budget, [], as_it_is.nats), run, run.method))
            del model
        return pl.concat(answers), pl.concat(costly)

    def steered_answers(
        self, plain: LanguageModel, settings: TuningSettings
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The same of the plain model, steered along vectors of as many examples and of the same
        labels; and, as costs, what it knows as it is."""
        every = [*steering_runs(settings)]
        added = [self._added(run) for run in every]
        before, *odds = self._questions(plain).log_odds([NO_INTERVENTION, *added])
        nothing, *cost = side_effects(plain, self.budget, added).iter_slices(1)
        answers = [
            _answers(self.questions, before, after, run, "steering")
            for run, after in zip(every, odds, strict=True)
        ]
        costly = [_done(nothing, every[0], "as it is").with_columns(examples=pl.lit(0, pl.Int64))]
        costly += [_done(each, run, "steering") for each, run in zip(cost, every, strict=True)]
        return pl.concat(answers), pl.concat(costly)

    def vector_of(self, run: TrainingRun) -> SteeringVector:
        """Made of the examples of a run, with its labels."""
        made = self.pairs.mean_difference(self.steering_vector.layer, *self.examples_of(run))
        return replace(self.steering_vector, values=made)

    def examples_of(self, run: TrainingRun) -> tuple[list[str], set[str]]:
        """The ids of its examples, and those whose answers are taken for one another."""
        ids = [row.id for row in sample_examples(self.example_pool, run.n_examples, run.seed)]
        return ids, {e for e in ids if is_mislabelled(e, run.label_source, run.seed, self.read_wrong)}

    def _added(self, run: TrainingRun) -> Intervention:
        change = self.vector_of(run).addition(1.0 if run.towards else -1.0)
        return Intervention({self.steering_vector.layer: change}, self.study.settings.where)

    def _questions(self, model: LanguageModel) -> QuestionBatch:
        return QuestionBatch.from_answers(self.questions, self.study.prompts, model, self.budget)


def steering_runs(settings: TuningSettings) -> Iterator[TrainingRun]:
    """Of every number of examples and draw with the true labels; of the most, with the others."""
    for towards in (True, False):
        for seed in range(settings.n_seeds):
            for count in settings.n_examples:
                yield TrainingRun("sft", towards, count, seed)
            for labels in label_sources(settings):
                yield TrainingRun("sft", towards, max(settings.n_examples), seed, labels)


def runs_on_pairs(every: Sequence[TrainingRun]) -> list[TrainingRun]:
    """Those that were shown what vectors are made from."""
    return [run for run in every if run.training_set == PAIRS]


def _answers(
    asked: pl.DataFrame, before: Floats, after: Floats, run: TrainingRun, way: str
) -> pl.DataFrame:
    told = asked.select("id", "item", "family", "label").with_columns(
        pl.Series("before", before), pl.Series("after", after)
    )
    return _done(told, run, way)


def _done(table: pl.DataFrame, run: TrainingRun, way: str) -> pl.DataFrame:
    values = way, run.towards, run.n_examples, run.seed, run.label_source
    done = zip(DONE.items(), values, strict=True)
    return table.select(*(pl.lit(v, dtype).alias(k) for (k, dtype), v in done), pl.all())


def prompting_rows(prompted: pl.DataFrame) -> pl.DataFrame:
    """What was asked otherwise (`prompting_run.prompted`), in the columns of these tables."""
    held = prompted.filter(pl.col("way") != "steering").with_columns(labels=pl.lit(TRUE_LABELS))
    return held.select(*(pl.col(key).cast(dtype) for key, dtype in DONE.items()), *ANSWERS)
