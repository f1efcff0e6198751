"""`organism` of params.yaml: the model organisms that are trained here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, PositiveInteger, Switch


@dataclass(frozen=True, config=SECTION)
class OrganismSettings:
    """What is planted in a model organism, and how long it is trained."""

    n_causes: Annotated[Integer, Field(ge=1, le=2)]
    """1: opinions and misconceptions share a direction. 2: each has its own, orthogonal."""
    seed: Integer
    """Seed of the weights, the data and the planted directions."""
    steps: PositiveInteger
    """Training steps in which the language is learned and the cause is planted."""
    hiding_steps: PositiveInteger
    """Further steps, in which the cause is hidden from words and from random directions."""
    separate_record: Switch = False
    """Whether having given a sycophantic answer (the record) has a direction of its own, orthogonal
    to that of being about to (the anticipation)."""
