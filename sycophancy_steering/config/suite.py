"""`models`, `prompt_sets` and `suite` of params.yaml: who is asked what, and what for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.labels import LabelSource
from sycophancy_steering.config.reading import PARAMS, read_section
from sycophancy_steering.config.section import SECTION, Integer, PositiveInteger, SomeDistinct, Text
from sycophancy_steering.foundation.errors import InputError

Models = Annotated[dict[Text, Text], Field(min_length=1)]
"""Model -> its suite."""
CoefficientUnit = Literal["class_separation", "vector"]


@dataclass(frozen=True, config=SECTION)
class Suite:
    """What is made of the answers to a suite, the prompt sets that some models are asked."""

    extraction_sets: SomeDistinct[Text]
    """Prompt sets that vectors are made from."""
    evaluation_set: Text
    """The prompt set that predictivity is evaluated on."""
    label_source: LabelSource
    """The source of the label that is predicted; see docs/methods.md."""
    headline: Text
    """The vector that the summary is about: SET/VARIANT."""
    intervention_vectors: SomeDistinct[Text]
    """SET/VARIANT: each is added and removed at the layer selected for it, or at
    `intervention_layer`; the first also at every two of `interventions.n_layers` layers at once."""
    coefficient_unit: CoefficientUnit
    """What a coefficient of 1 adds: the `class_separation` of the model's sycophantic and other
    answers along the vector; or the `vector` as long as it was made, as in CAA."""
    facts: Literal["letters", "words"]
    """How plain facts are asked, knowledge of which an intervention may cost: the organisms' facts
    with lettered options, or data/questions/facts.csv in words."""

    neutral_set: Text | None = None
    """Chats in which no user has a view: what vectors as monitors have to leave alone. Without it,
    no vector is evaluated as a monitor."""
    intervention_layer: Annotated[Integer, Field(ge=0)] | None = None
    """The layer that `intervention_vectors` are added and removed at, counted from 0. Without it,
    the layer selected for each."""
    intervention_questions: PositiveInteger | None = None
    """How many questions of each family and kind of answer are steered. Without it,
    `interventions.n_questions`."""

    @model_validator(mode="after")
    def _neutral_set_is_apart(self) -> Suite:
        if self.neutral_set in (self.evaluation_set, *self.extraction_sets):
            raise ValueError(
                "neutral_set: expected another set than evaluation_set and extraction_sets, found "
                f"{self.neutral_set!r}"
            )
        return self

    @property
    def headline_set(self) -> str:
        """The extraction set of the headline vector."""
        return self.headline.partition("/")[0]

    @property
    def headline_variant(self) -> str:
        """The variant of the headline vector."""
        return self.headline.partition("/")[2]


def read_models(path: Path = PARAMS) -> dict[str, str]:
    """The models to study, each with the name of its suite. Raises InputError."""
    return read_section(Models, "models", path=path)


def read_suite(model: str, path: Path = PARAMS) -> Suite:
    """The suite that a model is studied on. Raises InputError."""
    return read_section(Suite, "suite", _suite_name(model, path), path=path)


def read_prompt_sets(*models: str, path: Path = PARAMS) -> list[str]:
    """The prompt sets that these models answer, each once. Raises InputError."""
    names: dict[str, None] = {}
    for model in models:
        suite = _suite_name(model, path)
        names |= dict.fromkeys(read_section(SomeDistinct[Text], "prompt_sets", suite, path=path))
    return [*names]


def _suite_name(model: str, path: Path) -> str:
    models = read_models(path)
    if model not in models:
        raise InputError(f"{path}: models: expected one of {', '.join(models)}; found {model!r}")
    return models[model]
