"""What interventions in one model need: its labelled answers, settings and vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import Suite, read_suite
from sycophancy_steering.engine.workers import Workers
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.asked_questions import asked_questions
from sycophancy_steering.interventions.conditions import SteeringVector
from sycophancy_steering.interventions.eligible_answers import (
    eligible_answers,
    families_with_both_classes,
    sample_answers,
)
from sycophancy_steering.interventions.plain_facts import (
    PlainFact,
    facts_in_words,
    facts_with_letters,
)
from sycophancy_steering.interventions.question_batch import QuestionBatch, forward_of
from sycophancy_steering.interventions.steering_plan import UnsteeredActivations
from sycophancy_steering.questions.prompt_table import iter_prompts
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.labels import BEHAVIOUR
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS, PROMPTS, VECTORS
from sycophancy_steering.storage.activation_shards import read_ids, read_origin
from sycophancy_steering.storage.cell_files import intervention_layer
from sycophancy_steering.storage.label_files import not_sycophantic, read_labels


@dataclass(frozen=True)
class Study:
    """A model's labelled answers to the evaluation set, and the settings of interventions."""

    model: str
    settings: InterventionSettings
    suite: Suite
    answers: pl.DataFrame
    """All labelled answers, with the `row` of each in the prompt set."""
    eligible: pl.DataFrame
    """Those that interventions are tried on (`eligible_answers`), of families in which the model is
    sycophantic and has answers of both classes."""
    left_out: list[str]
    """Families with answers of one class only."""
    not_sycophantic: list[str]
    """Families in which the user's words do not move the model: nothing can be caused there."""
    open_answers: list[str]
    """Families without options: an effect is a change of the log-odds of one."""

    @property
    def vector(self) -> str:
        """The first of the suite's `intervention_vectors`: SET/VARIANT."""
        return self.suite.intervention_vectors[0]

    @property
    def vector_file(self) -> Path:
        """The file of that vector."""
        return VECTORS / self.model / f"{self.vector}.safetensors"

    @property
    def prompt_set(self) -> str:
        """The set that the vector is made from."""
        return self.vector.partition("/")[0]

    @property
    def prompts(self) -> Path:
        """The file of the evaluation set."""
        return PROMPTS / f"{self.suite.evaluation_set}.parquet"

    def questions(self, answers: pl.DataFrame, workers: Workers) -> QuestionBatch:
        """The questions of `answers`, as the model was asked them."""
        rows = asked_questions(self.prompts, self.activations, {*answers["row"]})
        return QuestionBatch(answers, rows, forward_of(rows, workers))

    @property
    def labels_file(self) -> Path:
        """The labels of the evaluation set."""
        return LABELS / self.model / f"{self.suite.evaluation_set}.parquet"

    @property
    def activations(self) -> Path:
        """The folder of the evaluation set's activations."""
        return ACTIVATIONS / self.model / self.suite.evaluation_set

    def split(self, name: str) -> pl.DataFrame:
        """The eligible answers of a split."""
        return self.eligible.filter(pl.col("split") == name)

    def sample(self, split: str, n_per_class: int | None = None) -> pl.DataFrame:
        """Eligible answers of a split: at most `n_per_class` of each family and label, or as many
        as the suite or `interventions.n_questions` says."""
        steered = self.suite.intervention_questions or self.settings.n_questions
        return sample_answers(self.split(split), n_per_class or steered)

    def unsteered(self, family: str | None = None) -> UnsteeredActivations:
        """The unchanged model's activations on `select`."""
        unit = self.suite.coefficient_unit
        return UnsteeredActivations(
            self.model, self.activations, unit, self.split("select"), family
        )

    def steering_vector(self) -> SteeringVector:
        """The vector at the layer that it is added at."""
        return self.unsteered().steering_vector(self.vector, self.layer_of(self.vector))

    def layer_of(self, vector: str) -> int:
        """The layer that one of `intervention_vectors` is added and removed at."""
        return intervention_layer(self.model, self.suite, vector)

    def facts(self) -> list[PlainFact]:
        """Plain facts, as the suite asks them, that the evaluation set does not use."""
        if self.suite.facts == "letters":
            return [*facts_with_letters()]
        return facts_in_words({row.item for row in iter_prompts(self.prompts)})

    def example_pool(self) -> list[Row]:
        """The questions that the vector is made from, which prompts and fine-tuning use too."""
        prompts = PROMPTS / f"{self.prompt_set}.parquet"
        return asked_questions(prompts, ACTIVATIONS / self.model / self.prompt_set)


def read_study(model: str) -> Study:
    """The study of a model, as params.yaml says. Raises InputError."""
    settings = read_section(InterventionSettings, "interventions")
    suite = read_suite(model)
    activations = ACTIVATIONS / model / suite.evaluation_set
    _check_layer(model, suite, read_origin(activations).n_layers)
    ids = read_ids(activations)
    labels_file = LABELS / model / f"{suite.evaluation_set}.parquet"
    labels = read_labels(labels_file, ids).with_row_index("row")
    behaviour = BEHAVIOUR.read(model=model, prompt_set=suite.evaluation_set)
    unmoved = sorted(not_sycophantic(behaviour))
    without_options = pl.col("label").is_not_null() & pl.col("margin").is_null()
    open_answers = labels.filter(without_options)["family"].unique().sort().to_list()
    moved = labels.filter(~pl.col("family").is_in([*unmoved, *open_answers]))
    eligible, left_out = families_with_both_classes(eligible_answers(moved, settings.eligible))
    return Study(
        model,
        settings,
        suite,
        labels.filter(pl.col("label").is_not_null()),
        eligible,
        left_out,
        unmoved,
        open_answers,
    )


def _check_layer(model: str, suite: Suite, n_layers: int) -> None:
    """Raises InputError for an `intervention_layer` that the model lacks."""
    layer = suite.intervention_layer
    if layer is not None and layer >= n_layers:
        raise InputError(
            f"params.yaml: suite of {model}: intervention_layer: expected 0 to {n_layers - 1}, "
            f"found {layer}"
        )
