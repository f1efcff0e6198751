"""A model that something is done to: which of its answers are looked at, and along which vector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_name, read_section
from sycophancy_steering.interventions.steering import Along, drawn, of_both_kinds, told
from sycophancy_steering.interventions.steering_plan import Known
from sycophancy_steering.questions.prompt_table import read_prompts
from sycophancy_steering.questions.question import Row
from sycophancy_steering.storage.activation_shards import read_ids
from sycophancy_steering.storage.cell_files import selected_layer
from sycophancy_steering.storage.label_files import read_labels


@dataclass(frozen=True)
class Studied:
    """A model, with its answers to the `evaluation_set` of families that have both kinds."""

    model: str
    settings: InterventionSettings
    on: str
    """The `evaluation_set`."""
    answers: pl.DataFrame
    """All that are labelled, with the `row` of each."""
    labels: pl.DataFrame
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
        return Path(f"data/prompts/{self.on}.parquet")

    @property
    def activations(self) -> Path:
        """Of the `evaluation_set`."""
        return Path(f"data/activations/{self.model}/{self.on}")

    def drawn(self, split: str, most: int | None = None) -> pl.DataFrame:
        """Answers of a split: of each family and kind at most `most`, or `questions`."""
        return drawn(
            self.labels.filter(pl.col("split") == split), most or self.settings.n_questions
        )

    def along(self) -> Along:
        """The vector at its chosen layer, with what is natural along it."""
        select = self.labels.filter(pl.col("split") == "select")
        layer = selected_layer(self.model, self.vector)
        return Known(self.model, self.activations, select).along(self.vector, layer)

    def pool(self) -> list[Row]:
        """The questions that it is made from."""
        return read_prompts(Path(f"data/prompts/{self.prompt_set}.parquet"))


def read_studied(model: str) -> Studied:
    """As `interventions` and `evaluation_set` of params.yaml say. Raises InputError."""
    settings, on = read_section(InterventionSettings, "interventions"), read_name("evaluation_set")
    ids = read_ids(Path(f"data/activations/{model}/{on}"))
    labels = read_labels(Path(f"data/labels/{model}/{on}.parquet"), ids).with_row_index("row")
    kept, left_out = of_both_kinds(told(labels, settings.eligible))
    known = labels.filter(pl.col("label").is_not_null())
    return Studied(model, settings, on, known, kept, left_out)
