"""A model that something is done to: which of its answers are looked at, and along which vector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_name, read_section
from sycophancy_steering.interventions.conditions import SteeringVector, sample_answers, families_with_both_classes, eligible_answers
from sycophancy_steering.interventions.steering_plan import UnsteeredActivations
from sycophancy_steering.questions.prompt_table import read_prompts
from sycophancy_steering.questions.question import Row
from sycophancy_steering.storage.activation_shards import read_ids
from sycophancy_steering.storage.cell_files import selected_layer
from sycophancy_steering.storage.label_files import read_labels


@dataclass(frozen=True)
class Study:
    """A model, with its answers to the `evaluation_set` of families that have both kinds."""

    model: str
    settings: InterventionSettings
    evaluation_set: str
    """The `evaluation_set`."""
    answers: pl.DataFrame
    """All that are labelled, with the `row` of each."""
    eligible: pl.DataFrame
    """Those of them that the user brought about, or that are not sycophantic (`steering.told`)."""
    left_out: list[str]
    """Families with answers of one kind only."""

    @property
    def vector(self) -> str:
        """The first of `interventions.vectors`: SET/VARIANT."""
        return self.settings.vectors[0]

    @property
    def prompt_set(self) -> str:
        """That it is made from."""
        return self.vector.partition("/")[0]

    @property
    def prompts(self) -> Path:
        """Of the `evaluation_set`."""
        return Path(f"data/prompts/{self.evaluation_set}.parquet")

    @property
    def activations(self) -> Path:
        """Of the `evaluation_set`."""
        return Path(f"data/activations/{self.model}/{self.evaluation_set}")

    def sample(self, split: str, most: int | None = None) -> pl.DataFrame:
        """Answers of a split: of each family and kind at most `most`, or `questions`."""
        return sample_answers(
            self.eligible.filter(pl.col("split") == split), most or self.settings.n_questions
        )

    def steering_vector(self) -> SteeringVector:
        """The vector at its chosen layer, with what is natural along it."""
        select = self.eligible.filter(pl.col("split") == "select")
        layer = selected_layer(self.model, self.vector)
        return UnsteeredActivations(self.model, self.activations, select).steering_vector(self.vector, layer)

    def example_pool(self) -> list[Row]:
        """The questions that it is made from."""
        return read_prompts(Path(f"data/prompts/{self.prompt_set}.parquet"))


def read_study(model: str) -> Study:
    """As `interventions` and `evaluation_set` of params.yaml say. Raises InputError."""
    settings, on = read_section(InterventionSettings, "interventions"), read_name("evaluation_set")
    ids = read_ids(Path(f"data/activations/{model}/{on}"))
    labels = read_labels(Path(f"data/labels/{model}/{on}.parquet"), ids).with_row_index("row")
    kept, left_out = families_with_both_classes(eligible_answers(labels, settings.eligible))
    known = labels.filter(pl.col("label").is_not_null())
    return Study(model, settings, on, known, kept, left_out)
