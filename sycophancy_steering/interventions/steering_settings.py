"""What is to be done to a model (`interventions` in params.yaml), and how tables say what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from sycophancy_steering.foundation.errors import InputError

OWN = "own"
CONDITION = {"vector": pl.String, "direction": pl.String, "kind": pl.String}
CONDITION |= {"layer": pl.Int64, "second": pl.Int64, "dose": pl.Float64}
"""The columns that say what was done."""


@dataclass(frozen=True)
class Interventions:
    """`interventions` in params.yaml."""

    vectors: list[str]
    """SET/VARIANT, each added and removed at the layer that was chosen for it; the first also at
    every two of `layers` at once."""
    doses: list[float]
    """How much of each is added, in natural gaps; 1 and -1 are also what random vectors get."""
    where: Literal["every", "prompt_end", "answer", "prompt_end_on"]
    """Every token; the last of the prompt; those of the answer; both of these, as CAA does it."""
    questions: int
    """Of each family and kind of answer, drawn from `test`, at most."""
    random: int
    """Random vectors that are added and removed beside each."""
    compared: list[str]
    """Variants of every extraction set that are added and removed at `layers`, to hold what they do
    against what they foretell."""
    layers: int
    """How many layers, evenly spread, vectors are compared at, and added at two at a time."""
    told_by: Literal["flipped", "label"]
    """Which answers count as sycophantic before anything is done: those that are otherwise without
    the user (`flipped`), or all that are labelled so."""

    def __post_init__(self) -> None:
        for key in ("questions", "random", "layers"):
            if (value := getattr(self, key)) < 1:
                raise InputError(
                    f"params.yaml: interventions.{key}: expected at least 1, found {value}"
                )
        if not {-1.0, 1.0} <= {float(dose) for dose in self.doses}:
            raise InputError(
                "params.yaml: interventions.doses: expected -1 and 1 among them, found "
                f"{self.doses}"
            )
        if not self.vectors:
            raise InputError(
                "params.yaml: interventions.vectors: expected at least one, found none"
            )

    def spread(self, depth: int) -> list[int]:
        """`layers` of a model with so many, the first and the last among them."""
        return sorted({round(n) for n in np.linspace(0, depth - 1, min(self.layers, depth))})
