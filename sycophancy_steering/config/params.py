"""All of params.yaml as one model, which checks that names refer to entries that exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.checkpoint import Checkpoint
from sycophancy_steering.config.compute import ComputeSettings
from sycophancy_steering.config.foreign_vectors import FOREIGN, ForeignVectorSection
from sycophancy_steering.config.interventions import InterventionSettings, PromptingSettings
from sycophancy_steering.config.labels import JudgeSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.config.power import PowerSettings
from sycophancy_steering.config.predictivity import (
    SampleEfficiencySettings,
    ScoringSettings,
    SelectionSettings,
)
from sycophancy_steering.config.prompt_set import PromptSetSettings
from sycophancy_steering.config.reading import PARAMS, read_yaml, validated
from sycophancy_steering.config.section import SECTION, Distinct, SomeDistinct, Text
from sycophancy_steering.config.source import SourceFile
from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.config.suite import Models, Suite
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.config.variants import VariantGrid


@dataclass(frozen=True, config=SECTION)
class CrossModelPair:
    """One model's vectors, evaluated in another model of the same width."""

    vectors_from: Text
    """The model that the vectors were made from."""
    evaluated_in: Text
    """The model whose answers they predict."""


class Params(BaseModel):
    """params.yaml."""

    model_config = SECTION | ConfigDict(frozen=True)

    organisms: Distinct[Text]
    """Model organisms that are trained here: entries of `organism`."""
    checkpoints: Distinct[Text]
    """Models that are not trained here: entries of `checkpoint`."""
    models: Models
    """Models that are studied (organisms or checkpoints, each with an entry of `model`), each with
    the suite of questions that it is asked: an entry of `prompt_sets` and of `suite`."""
    prompt_sets: dict[Text, SomeDistinct[Text]]
    """The prompt sets that a model is asked, by suite: entries of `prompt_set`."""
    suite: dict[Text, Suite]
    """What is made of the answers, by suite."""
    variants: Annotated[list[VariantGrid], Field(min_length=1)]
    """The vectors that are made from every extraction set."""
    foreign_vectors: ForeignVectorSection
    """Vectors from elsewhere by name, which form one more set of their model, `foreign`."""
    cross_model: list[CrossModelPair]
    """Vectors of one model that are evaluated in another."""
    controls: Distinct[Text]
    """The prompt set whose conclusions about the organisms are checked, or none."""
    split: SplitShares
    """How items and personas are divided into splits."""
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
    compute: ComputeSettings = ComputeSettings()
    """Where models run."""
    activations: ActivationSettings
    """How activations and responses are extracted."""
    judge: dict[Text, JudgeSettings]
    """Models that grade answers, by name."""
    scoring: ScoringSettings
    """How vectors are evaluated."""
    selection: SelectionSettings
    """Tests of the best vector and layer against chance."""
    sample_efficiency: SampleEfficiencySettings
    """How many pairs a vector needs."""
    power: PowerSettings
    """Directions that are planted, to see which the study finds."""
    interventions: InterventionSettings
    """Adding and removing vectors while a model runs."""
    prompting: PromptingSettings
    """Prompting as a baseline."""
    tuning: TuningSettings
    """Fine-tuning as a baseline."""

    @model_validator(mode="after")
    def _references_exist(self) -> Params:
        for key, name, section, known in self._references():
            if name not in known:
                choices = f": {', '.join(known)}" if known else ", which is empty"
                raise ValueError(f"{key}: expected an entry of {section}{choices}; found {name!r}")
        return self

    @model_validator(mode="after")
    def _no_set_is_called_as_the_foreign_one(self) -> Params:
        if FOREIGN in self.prompt_set:
            raise ValueError(
                f"prompt_set: expected another name than {FOREIGN!r}, the set that vectors from "
                "elsewhere form"
            )
        return self

    def _references(self) -> Iterator[tuple[str, str, str, Collection[str]]]:
        """Every name that refers to an entry: its key, the name, the section and its entries."""
        lists: list[tuple[str, list[str], str, Collection[str]]] = [
            ("organisms", self.organisms, "organism", self.organism),
            ("checkpoints", self.checkpoints, "checkpoint", self.checkpoint),
            ("controls", self.controls, "prompt_set", self.prompt_set),
            ("models", [*self.models], "model", self.model),
            ("tuning.models", self.tuning.models, "model", self.model),
        ]
        for key, names, section, known in lists:
            yield from ((f"{key}[{n}]", name, section, known) for n, name in enumerate(names))
        for name, suite_name in self.models.items():
            yield f"models.{name}", suite_name, "suite", self.suite
        if self.tuning.weak_labeller:
            yield "tuning.weak_labeller.model", self.tuning.weak_labeller.model, "model", self.model
        for n, pair in enumerate(self.cross_model):
            yield f"cross_model[{n}].vectors_from", pair.vectors_from, "models", self.models
            yield f"cross_model[{n}].evaluated_in", pair.evaluated_in, "models", self.models
        for name, entry in self.foreign_vectors.items():
            yield f"foreign_vectors.{name}.model", entry.model, "models", self.models
        for name, judge in self.judge.items():
            if judge.kind == "model":
                yield f"judge.{name}.model", judge.model, "model", self.model
        variants = [variant.name for grid in self.variants for variant in grid.variants()]
        for n, variant in enumerate(self.interventions.compared_methods):
            yield f"interventions.compared_methods[{n}]", variant, "variants", variants
        yield from self._references_of_suites(variants)

    def _references_of_suites(
        self, variants: Collection[str]
    ) -> Iterator[tuple[str, str, str, Collection[str]]]:
        """Those of `prompt_sets` and `suite`; `variants` are the names of all variants."""
        for name, sets in self.prompt_sets.items():
            for n, prompt_set in enumerate(sets):
                yield f"prompt_sets.{name}[{n}]", prompt_set, "prompt_set", self.prompt_set
        for name, suite in self.suite.items():
            yield f"suite.{name}", name, "prompt_sets", self.prompt_sets
            asked = self.prompt_sets.get(name, [])
            for key, entry, section, known in _references_of_suite(suite, asked, variants):
                yield f"suite.{name}.{key}", entry, section, known


def _references_of_suite(
    suite: Suite, asked: Collection[str], variants: Collection[str]
) -> Iterator[tuple[str, str, str, Collection[str]]]:
    """Every name in a suite, as `Params._references`.

    `asked` are its prompt sets, and `variants` the names of all variants.
    """
    for n, name in enumerate(suite.extraction_sets):
        yield f"extraction_sets[{n}]", name, "prompt_sets", asked
    yield "evaluation_set", suite.evaluation_set, "prompt_sets", asked
    if suite.neutral_set:
        yield "neutral_set", suite.neutral_set, "prompt_sets", asked
    vectors = [("headline", suite.headline)]
    vectors += [
        (f"intervention_vectors[{n}]", vector)
        for n, vector in enumerate(suite.intervention_vectors)
    ]
    for key, vector in vectors:
        extraction_set, _, variant = vector.partition("/")
        if extraction_set == FOREIGN and key not in ("headline", "intervention_vectors[0]"):
            continue  # imported vectors are files, no entries; the first vector needs a prompt set
        yield key, extraction_set, "extraction_sets", suite.extraction_sets
        yield key, variant, "variants (after SET/)", variants


def read_params(path: Path = PARAMS) -> Params:
    """All of `path`. Raises InputError for a bad value, and for a name without an entry."""
    return validated(Params, read_yaml(path), path, "")
