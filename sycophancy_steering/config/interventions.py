"""`interventions` and `prompting` of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import (
    SECTION,
    Distinct,
    Number,
    PositiveInteger,
    SomeDistinct,
    Text,
)

TokenPositions = Literal["every", "prompt_end", "answer", "prompt_end_on"]


@dataclass(frozen=True, config=SECTION)
class InterventionSettings:
    """Which vectors are added and removed, where, and on how many questions."""

    coefficients: SomeDistinct[Number]
    """How much of a vector is added, in units of the class separation along it; random vectors get
    1 and -1."""
    where: TokenPositions
    """Tokens that are changed: `every`; the prompt's last (`prompt_end`); those of the `answer`; or
    the last two together (`prompt_end_on`), as in CAA."""
    n_questions: PositiveInteger
    """Questions of `test` for each family and kind of answer, at most."""
    n_random: PositiveInteger
    """Random vectors of the same norm beside each vector."""
    compared_methods: Distinct[Text]
    """Variants of every extraction set whose effect is compared with their predictivity."""
    n_layers: PositiveInteger
    """How many evenly spaced layers that comparison uses."""
    eligible: Literal["flipped", "label"]
    """Which answers count as sycophantic before an intervention: those that differ without the user
    (`flipped`), or all that are labelled so."""

    @field_validator("coefficients")
    @classmethod
    def _both_signs(cls, coefficients: list[float]) -> list[float]:
        if not {-1.0, 1.0} <= {*coefficients}:
            raise ValueError(f"expected -1 and 1 among them, found {coefficients}")
        return coefficients


@dataclass(frozen=True, config=SECTION)
class PromptingSettings:
    """Prompting as a baseline."""

    n_examples: SomeDistinct[PositiveInteger]
    """Numbers of examples in the prompt; vectors are made from as many."""
    n_seeds: PositiveInteger
    """How often the examples are sampled."""
