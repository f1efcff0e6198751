"""`scoring`, `selection` and `sample_efficiency` of params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import (
    SECTION,
    Count,
    Distinct,
    Integer,
    PositiveInteger,
    SomeDistinct,
    Text,
)

Repetitions = Annotated[Integer, Field(ge=19)]
"""At least 19, since the smallest p-value is one over their number plus one, 0.05."""


@dataclass(frozen=True, config=SECTION)
class ScoringSettings:
    """How vectors are evaluated."""

    memory_mb: PositiveInteger
    """Megabytes that scores of many vectors may take at once. Changes no result."""
    max_layer_distance: Count = 0
    """A vector made at one layer is read at layers at most this far from it. With 0, each is read
    at its own layer; the time grows with the number of layers that each is read at."""


@dataclass(frozen=True, config=SECTION)
class SelectionSettings:
    """Tests of the best vector and layer against chance."""

    n_shuffles: Repetitions
    """How often the selection is repeated with vectors of shuffled pairs."""
    n_permutations: Repetitions
    """How often the items' signs are flipped at random, for p-values over all cells."""


@dataclass(frozen=True, config=SECTION)
class SampleEfficiencySettings:
    """How many pairs a vector needs."""

    n_pairs: SomeDistinct[Annotated[Integer, Field(ge=2)]]
    """Numbers of pairs that vectors are made from."""
    n_resamples: Annotated[Integer, Field(ge=2)]
    """How often each number of pairs is sampled."""
    methods: Distinct[Text] = Field(default_factory=list)
    """Of those that `variants` makes from forced answers; without any, all of them."""
