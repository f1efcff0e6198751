"""`power` of params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, Number, SomeDistinct


@dataclass(frozen=True, config=SECTION)
class PowerSettings:
    """Directions of known size that are planted, to see which the study finds."""

    depth: Annotated[Number, Field(ge=0, le=1)]
    """The layer that they are planted at: 0 is the first, 1 the last."""
    sizes: SomeDistinct[Annotated[Number, Field(gt=0)]]
    """Lengths of the planted direction, in units of the activations' typical distance from their
    mean, in ascending order; 0 is always tried too."""
    n_draws: Annotated[Integer, Field(ge=20)]
    """Random studies of each size; of at least 20, 80% can be told from less."""

    @field_validator("sizes")
    @classmethod
    def _ascending(cls, sizes: list[float]) -> list[float]:
        if sizes != sorted(sizes):
            raise ValueError(f"expected ascending sizes, found {sizes}")
        return sizes
