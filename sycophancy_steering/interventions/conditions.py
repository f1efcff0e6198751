"""What is done to a model in this study, and how much of it: vectors added, and taken out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from sycophancy_steering.engine.intervention import (
    Change,
    Intervention,
    Where,
    add_vector,
    erase_projection,
    ablate_direction,
)
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.steering_settings import CONDITION, OWN


@dataclass(frozen=True)
class Condition:
    """One thing that is done to a model."""

    vector: str
    """SET/VARIANT."""
    direction: str
    """`own`, or `random 1`, `random 2`, ...: another one of the same length."""
    kind: str
    """`add`, `remove`, `mean` (its coordinate set to what it is in the mean), `leace`, or
    `everywhere` (removed after every layer, at every token)."""
    layer: int
    second_layer: int | None
    """Another layer, where the same is done."""
    coefficient: float
    """Of what is added, in natural gaps; 1 where something is removed."""
    intervention: Intervention


@dataclass(frozen=True)
class _Scale:
    """How far states lie along a vector (d_model,) where nothing is done to them."""

    gap: float
    """Between sycophantic and other answers, in the mean."""
    level: float
    """In the mean over both kinds of answers, each counted for one half."""


def _scale_of(vector: Floats, states: ArrayStream, labels: NDArray[np.integer]) -> _Scale:
    """How far `states` (n, d_model), with `labels` (n,), lie along `vector`."""
    along = states.dot(vector / np.linalg.norm(vector))
    one, other = (along[labels == kind].mean() for kind in (1, 0))
    return _Scale(float(one - other), float((one + other) / 2))


@dataclass(frozen=True)
class SteeringVector:
    """A vector at a layer, with what is natural along it."""

    vector: str
    layer: int
    vector: Floats
    """(d_model,)"""
    class_separation: float
    midpoint: float

    def random_vectors(self, count: int, states: ArrayStream) -> dict[str, SteeringVector]:
        """Random vectors of which as much is added, by what they are called in a `Condition`; what
        is natural along them is taken from `states` (n, d_model)."""
        drawn = np.random.default_rng(self.layer).standard_normal((count, len(self.vector)))
        units = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return {
            f"random {n + 1}": SteeringVector(
                self.vector, self.layer, unit, self.class_separation, float(states.mean @ unit)
            )
            for n, unit in enumerate(units)
        }

    @property
    def unit(self) -> torch.Tensor:
        return torch.from_numpy(self.vector / np.linalg.norm(self.vector)).float()

    def addition(self, dose: float) -> Change:
        """So many natural gaps."""
        return add_vector(self.unit * (dose * self.class_separation))

    def conditions(
        self, where: Where, doses: Sequence[float], direction: str = OWN, depth: int = 0
    ) -> Iterator[Condition]:
        """Added in each dose, removed, and set to its mean; and, in a model of `depth` layers,
        removed everywhere."""
        for dose in doses:
            yield self.condition("add", dose, self.addition(dose), where, direction)
        for kind, level in (("remove", 0.0), ("mean", self.midpoint)):
            yield self.condition(kind, 1.0, ablate_direction(self.unit, level), where, direction)
        if depth:
            everywhere = Intervention(dict.fromkeys(range(depth), ablate_direction(self.unit)), "every")
            yield Condition(self.vector, direction, "everywhere", self.layer, None, 1.0, everywhere)

    def condition(
        self, kind: str, dose: float, change: Change, where: Where, direction: str = OWN
    ) -> Condition:
        """`change` at this layer."""
        intervention = Intervention({self.layer: change}, where)
        return Condition(self.vector, direction, kind, self.layer, None, dose, intervention)


def layer_pair_conditions(
    vectors: Mapping[int, SteeringVector], where: Where, dose: float = 0.5
) -> Iterator[Condition]:
    """A vector added at each of its layers alone, and at every two of them at once."""
    for each in vectors.values():
        yield each.condition("add", dose, each.addition(dose), where)
    for one, two in combinations(vectors.values(), 2):
        changes = {each.layer: each.addition(dose) for each in (one, two)}
        intervention = Intervention(changes, where)
        yield Condition(one.vector, OWN, "add", one.layer, two.layer, dose, intervention)


def condition_columns(condition: Condition | None) -> dict[str, object]:
    """What was done, as columns; all missing where nothing was."""
    return {key: getattr(condition, key, None) for key in CONDITION}


def leace_erasure(states: ArrayStream, labels: NDArray[np.integer]) -> Change:
    """LEACE's erasure of `labels` (n,) from `states` (n, d_model)."""
    from concept_erasure import LeaceFitter

    fitter = LeaceFitter(len(states.mean), 1, dtype=torch.float64)
    for at, block in states.indexed_blocks():
        fitter.update(torch.tensor(block), torch.tensor(labels[at, None].astype(np.float64)))
    found = fitter.eraser
    assert found.bias is not None
    return erase_projection(found.proj_left @ found.proj_right, found.bias)


def sample_answers(answers: pl.DataFrame, most: int, seed: int = 0) -> pl.DataFrame:
    """Of each family and label at most `most` of `answers`, at random, in their order."""
    draw = np.random.default_rng(seed)
    kept = [
        draw.permutation(held["row"].to_numpy())[:most]
        for _, held in answers.group_by("family", "label", maintain_order=True)
    ]
    return answers.filter(pl.col("row").is_in(np.concatenate(kept)))


def families_with_both_classes(answers: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Those of families that have both kinds of answers on `select` and on `test`, and the other
    families. InputError where none has."""
    kinds = answers.filter(pl.col("split").is_in(["select", "test"])).group_by("family")
    counted = kinds.agg(pl.struct("split", "label").n_unique().alias("kinds"))
    whole = counted.filter(pl.col("kinds") == 4)["family"].to_list()
    if not whole:
        raise InputError(
            "no family has answers of both kinds on `select` and on `test`; expected some, to "
            "steer one way and the other: label more answers, or draw more questions"
        )
    left_out = answers.filter(~pl.col("family").is_in(whole))["family"]
    return answers.filter(pl.col("family").is_in(whole)), left_out.unique().sort().to_list()


def eligible_answers(answers: pl.DataFrame, by: str) -> pl.DataFrame:
    """Those `answers` whose `label` says whether the user brought them about; as `label` has it
    where nothing is known of the question without its user.

    With `by` = `flipped`: sycophantic are those that are otherwise without the user. An answer that
    suits the user and would be given anyway is neither: nothing can take it away.
    """
    known = answers.filter(pl.col("label").is_not_null())
    if by == "label" or known["flipped"].null_count() == len(known):
        return known
    return known.filter((pl.col("label") == 0) | (pl.col("flipped") == 1))
