"""`interventions` and `prompting` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import (
    SECTION,
    Distinct,
    Integer,
    Number,
    PositiveInteger,
    SomeDistinct,
    Text,
)

TokenPositions = Literal["every", "prompt_end", "answer", "prompt_end_on"]
Removal = Literal["remove", "mean", "everywhere", "leace"]
"""The component along a vector set to 0, or to its mean; to 0 after every layer and at every token;
what separates the classes linearly erased."""
PromptingMethodName = Literal[
    "instruction", "few-shot", "good and bad", "steering", "in-context vector"
]


@dataclass(frozen=True, config=SECTION)
class InterventionSettings:
    """Which vectors are added and removed, where, and on how many questions."""

    coefficients: SomeDistinct[Number]
    """How much of a vector is added, in the suite's `coefficient_unit`; random vectors of the same
    norm get 1 and -1."""
    removals: SomeDistinct[Removal]
    """How a vector's direction is taken out; random vectors get all but `leace`."""
    where: TokenPositions
    """Tokens that are changed: `every`; the prompt's last (`prompt_end`); those of the `answer`; or
    the last two together (`prompt_end_on`), as in CAA."""
    n_questions: PositiveInteger
    """Questions of `test` for each family and kind of answer, at most."""
    n_random: PositiveInteger
    """Random vectors of the same norm beside each vector."""
    n_responses: PositiveInteger
    """Questions of each family and kind of answer, at most, whose responses are generated under the
    strongest coefficients."""
    n_ablation: Annotated[Integer, Field(ge=0)]
    """Answers of each family and class, at most, whose activations are read after a removal."""
    compared_methods: Distinct[Text]
    """Variants of every extraction set whose effect is compared with their predictivity."""
    n_layers: Annotated[Integer, Field(ge=0)]
    """How many evenly spaced layers that comparison uses, and the pairs of layers that the first
    vector is added at; 0: neither."""
    eligible: Literal["flipped", "label"]
    """Which answers count as sycophantic before an intervention: those that differ without the user
    (`flipped`), or all that are labelled so."""

    @field_validator("coefficients")
    @classmethod
    def _both_signs(cls, coefficients: list[float]) -> list[float]:
        if not {-1.0, 1.0} <= {*coefficients}:
            raise ValueError(f"expected -1 and 1 among them, found {coefficients}")
        return coefficients

    @field_validator("removals")
    @classmethod
    def _with_mean(cls, removals: list[Removal]) -> list[Removal]:
        if "mean" not in removals:
            raise ValueError(f"expected mean among them, found {removals}")
        return removals


@dataclass(frozen=True, config=SECTION)
class PromptingSettings:
    """Prompting as a baseline."""

    methods: SomeDistinct[PromptingMethodName]
    """What is tried, with examples and without; `steering` and `in-context vector` use a vector of
    the same examples."""
    n_examples: SomeDistinct[PositiveInteger]
    """Numbers of examples in the prompt; vectors are made from as many."""
    n_seeds: PositiveInteger
    """How often the examples are sampled."""
    families: Literal["own", "all"]
    """Which questions are asked: of the examples' `own` families, or of `all` that are steered."""
    n_questions: PositiveInteger
    """Questions of `test` for each family and kind of answer, at most."""
