"""The interventions of this study: vectors added, removed, set to their mean or erased."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from sycophancy_steering.config.interventions import Removal
from sycophancy_steering.engine.intervention import (
    Change,
    Intervention,
    Where,
    ablate_direction,
    add_vector,
    erase_projection,
)
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.schemas.interventions import CONDITION, OWN


@dataclass(frozen=True)
class Condition:
    """An intervention, and the columns that describe it in tables."""

    vector: str
    """SET/VARIANT."""
    direction: str
    """`own`, or `random 1`, `random 2`, ... for random vectors of the same norm."""
    kind: str
    """`add`; `remove` (the component along the vector set to 0); `mean` (set to its mean); `leace`;
    or `everywhere` (removed after every layer, at every token)."""
    layer: int
    second_layer: int | None
    """Another layer with the same intervention."""
    coefficient: float
    """Of what is added, in the suite's `coefficient_unit`; 1 for other kinds."""
    intervention: Intervention


@dataclass(frozen=True)
class SteeringVector:
    """A vector at a layer, with the scale of the unchanged activations along it."""

    name: str
    """SET/VARIANT."""
    layer: int
    vector: Floats
    """(d_model,)"""
    step: float
    """How far a coefficient of 1 goes (the suite's `coefficient_unit`). A class separation is
    negative where sycophantic answers lie on the other side."""
    midpoint: float
    """The mean projection, both classes weighted equally."""

    @property
    def unit(self) -> torch.Tensor:
        """(d_model,), of norm 1."""
        return torch.from_numpy(self.vector / np.linalg.norm(self.vector)).float()

    def random_vectors(self, n_random: int, activations: ArrayStream) -> dict[str, SteeringVector]:
        """Random unit vectors with the same step, by their `Condition.direction`.

        Their midpoints are mean projections of `activations` (n, d_model).
        """
        rng = np.random.default_rng(self.layer)
        vectors = rng.standard_normal((n_random, len(self.vector)))
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return {
            f"random {n}": SteeringVector(
                self.name, self.layer, unit, self.step, float(activations.mean @ unit)
            )
            for n, unit in enumerate(units, start=1)
        }

    def addition(self, coefficient: float) -> Change:
        """Adds the unit vector times `coefficient` steps."""
        return add_vector(self.unit * (coefficient * self.step))

    def conditions(
        self,
        where: Where,
        coefficients: Sequence[float],
        removals: Collection[Removal],
        direction: str = OWN,
        depth: int = 0,
    ) -> Iterator[Condition]:
        """The vector added with each coefficient, and those of `removals` that a vector alone
        defines, in a model of `depth` layers."""
        for coefficient in coefficients:
            yield self.condition("add", coefficient, self.addition(coefficient), where, direction)
        for kind, level in (("remove", 0.0), ("mean", self.midpoint)):
            if kind in removals:
                change = ablate_direction(self.unit, level)
                yield self.condition(kind, 1.0, change, where, direction)
        if "everywhere" in removals:
            changes = dict.fromkeys(range(depth), ablate_direction(self.unit))
            everywhere = Intervention(changes, "every")
            yield Condition(self.name, direction, "everywhere", self.layer, None, 1.0, everywhere)

    def condition(
        self, kind: str, coefficient: float, change: Change, where: Where, direction: str = OWN
    ) -> Condition:
        """`change` at the vector's layer."""
        intervention = Intervention({self.layer: change}, where)
        return Condition(self.name, direction, kind, self.layer, None, coefficient, intervention)


def projection_scale(
    vector: Floats, activations: ArrayStream, labels: NDArray[np.integer]
) -> tuple[float, float]:
    """The class separation and the midpoint of `activations` (n, d_model) with `labels` (n,) along
    the unit vector of `vector` (d_model,)."""
    projections = activations.dot(vector / np.linalg.norm(vector))
    sycophantic, other = (projections[labels == label].mean() for label in (1, 0))
    return float(sycophantic - other), float((sycophantic + other) / 2)


def layer_pair_conditions(
    vectors: Mapping[int, SteeringVector], where: Where, coefficient: float = 0.5
) -> Iterator[Condition]:
    """A vector (by layer) added at each layer alone, and at every two layers at once."""
    for vector in vectors.values():
        yield vector.condition("add", coefficient, vector.addition(coefficient), where)
    for one, two in combinations(vectors.values(), 2):
        changes = {vector.layer: vector.addition(coefficient) for vector in (one, two)}
        intervention = Intervention(changes, where)
        yield Condition(one.name, OWN, "add", one.layer, two.layer, coefficient, intervention)


def condition_columns(condition: Condition | None) -> dict[str, object]:
    """The columns that describe a condition; all None without one."""
    return {column: getattr(condition, column, None) for column in CONDITION}


def leace_erasure(activations: ArrayStream, labels: NDArray[np.integer]) -> Change:
    """LEACE's erasure of `labels` (n,) from `activations` (n, d_model): afterwards no linear
    classifier beats chance (Belrose et al. 2023, https://arxiv.org/abs/2306.03819)."""
    from concept_erasure import LeaceFitter

    fitter = LeaceFitter(len(activations.mean), 1, dtype=torch.float64)
    for rows, block in activations.indexed_blocks():
        fitter.update(torch.tensor(block), torch.tensor(labels[rows, None].astype(np.float64)))
    eraser = fitter.eraser
    assert eraser.bias is not None
    return erase_projection(eraser.proj_left @ eraser.proj_right, eraser.bias)
