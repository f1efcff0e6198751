"""All of params.yaml as one model, with the names that refer to one another checked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.checkpoint import Checkpoint
from sycophancy_steering.config.interventions import InterventionSettings, PromptingSettings
from sycophancy_steering.config.labels import JudgeSettings, LabelSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.config.predictivity import (
    SampleEfficiencySettings,
    ScoringSettings,
    SelectionSettings,
)
from sycophancy_steering.config.prompt_set import PromptSetSettings
from sycophancy_steering.config.section import SECTION, Text
from sycophancy_steering.config.source import SourceFile
from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.config.variants import VariantGrid

Names = Annotated[list[Text], Field(min_length=1)]


@dataclass(frozen=True, config=SECTION)
class CrossModelPair:
    """One model's vectors, evaluated in another model of the same width."""

    vectors_from: Text
    """The model that the vectors were made from."""
    evaluated_in: Text
    """The model whose answers they predict."""


class Params(BaseModel):
    """params.yaml."""

    model_config = ConfigDict(**SECTION, frozen=True)

    organisms: list[Text]
    """Model organisms that are trained here: entries of `organism`."""
    checkpoints: list[Text]
    """Models from the hub or a folder: entries of `checkpoint`."""
    models: Names
    """Models that are studied: organisms or checkpoints, each with an entry of `model`."""
    prompt_sets: Names
    """Prompt sets that the models answer: entries of `prompt_set`."""
    extraction_sets: Names
    """Prompt sets that vectors are made from."""
    variants: Annotated[list[VariantGrid], Field(min_length=1)]
    """The vectors that are made from every extraction set."""
    cross_model: list[CrossModelPair]
    """Vectors of one model that are evaluated in another."""
    controls: list[Text]
    """The extraction set whose conclusions about the organisms are checked, or none."""
    headline: Text
    """The vector that the summary is about: SET/VARIANT."""
    evaluation_set: Text
    """The prompt set that predictivity is evaluated on."""
    split: SplitShares
    prompt_set: dict[Text, PromptSetSettings]
    """The prompt sets by name."""
    source: dict[Text, SourceFile]
    """Files of questions by name, besides the built-in sources."""
    organism: dict[Text, OrganismSettings]
    """The organisms by name."""
    checkpoint: dict[Text, Checkpoint]
    """The checkpoints by name."""
    model: dict[Text, ModelSettings]
    """How each model is loaded."""
    activations: ActivationSettings
    labels: LabelSettings
    judge: dict[Text, JudgeSettings]
    """Models that grade answers, by name."""
    scoring: ScoringSettings
    selection: SelectionSettings
    sample_efficiency: SampleEfficiencySettings
    interventions: InterventionSettings
    prompting: PromptingSettings
    tuning: TuningSettings

    @model_validator(mode="after")
    def _names_exist(self) -> Params:
        entries: list[tuple[str, list[str], Collection[str]]] = [
            ("organisms", self.organisms, self.organism),
            ("checkpoints", self.checkpoints, self.checkpoint),
            ("models", self.models, self.model),
            ("prompt_sets", self.prompt_sets, self.prompt_set),
            ("extraction_sets", self.extraction_sets, self.prompt_sets),
            ("controls", self.controls, self.extraction_sets),
            ("evaluation_set", [self.evaluation_set], self.prompt_sets),
            ("headline", [_set_of(self.headline)], self.extraction_sets),
            (
                "interventions.vectors",
                [_set_of(vector) for vector in self.interventions.vectors],
                self.extraction_sets,
            ),
            ("tuning.models", self.tuning.models, self.model),
        ]
        for key, names, known in entries:
            if unknown := [name for name in names if name not in known]:
                raise ValueError(f"{key}: expected one of {', '.join(known)}, found {unknown[0]!r}")
        return self


def _set_of(vector: str) -> str:
    return vector.partition("/")[0]
