"""All conditions that a model is steered under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.config.foreign_vectors import FOREIGN
from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.suite import CoefficientUnit
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.interventions.conditions import (
    Condition,
    SteeringVector,
    layer_pair_conditions,
    leace_erasure,
    projection_scale,
)
from sycophancy_steering.schemas.paths import PROMPTS, VECTORS
from sycophancy_steering.storage.activation_shards import read_origin, stream_activations
from sycophancy_steering.storage.vector_files import read_vectors

COMPARISON_NORM = 0.25
"""How much of each compared vector is added, relative to the median norm of the activations."""


@dataclass(frozen=True)
class UnsteeredActivations:
    """Activations of the unchanged model at the prompts' last tokens, on the split `select`."""

    model: str
    activations: Path
    """The folder of the evaluation set's activations."""
    unit: CoefficientUnit
    """What a coefficient of 1 adds."""
    select: pl.DataFrame
    """The labelled answers of the split, with the `row` of each."""
    family: str | None = None
    """The family of the questions that are asked; None: all of them."""

    @cached_property
    def n_layers(self) -> int:
        """Layers of the model."""
        return read_origin(self.activations).n_layers

    def steering_vector(self, name: str, layer: int) -> SteeringVector:
        """The vector SET/VARIANT at a layer.

        A class separation is that of the families of SET (of all, where these have one class only
        or the vector is from elsewhere), its midpoint that of the family asked about.
        """
        vectors, _ = read_vectors(VECTORS / self.model / f"{name}.safetensors")
        vector = vectors[layer].astype(np.float64)
        of_set = self._of_families_of(name.partition("/")[0])
        if of_set["label"].n_unique() < 2:
            of_set = self.select
        step, _ = projection_scale(vector, *self._read(layer, of_set))
        if self.unit == "vector":
            step = float(np.linalg.norm(vector))
        _, midpoint = projection_scale(vector, *self.activations_and_labels(layer))
        return SteeringVector(name, layer, vector, step, midpoint)

    def _of_families_of(self, prompt_set: str) -> pl.DataFrame:
        """The answers of the families of a set; of a set of vectors from elsewhere, all."""
        if prompt_set == FOREIGN:
            return self.select
        prompts = PROMPTS / f"{prompt_set}.parquet"
        families = pl.read_parquet(prompts, columns=["family"])["family"].unique().to_list()
        return self.select.filter(pl.col("family").is_in(families))

    def activations_and_labels(self, layer: int) -> tuple[ArrayStream, NDArray[np.integer]]:
        """(n, d_model) and (n,), of the family asked about."""
        if self.family is None:
            return self._read(layer, self.select)
        return self._read(layer, self.select.filter(pl.col("family") == self.family))

    def _read(self, layer: int, answers: pl.DataFrame) -> tuple[ArrayStream, NDArray[np.integer]]:
        rows = answers["row"].to_numpy()
        key = (layer, rows.tobytes())  # many vectors are scaled by the same activations
        if key not in self._streams:
            stream = stream_activations(self.activations, layer, "prompt")
            self._streams[key] = stream.select_rows(rows)
        return self._streams[key], answers["label"].to_numpy()

    @cached_property
    def _streams(self) -> dict[tuple[int, bytes], ArrayStream]:
        """Streams in use, by layer and rows; each caches what it has read, if it is small."""
        return {}


def planned_conditions(
    unsteered: UnsteeredActivations,
    settings: InterventionSettings,
    layer_of: Mapping[str, int],
    compared_sets: Sequence[str],
) -> dict[str, list[Condition]]:
    """The conditions of each part: `dose_response` (of the vectors of `layer_of`, each at its
    layer), `two_layers` (of the first of them) and `comparison` (of the vectors of
    `compared_sets`); the last two are empty without `interventions.n_layers`."""
    first = next(iter(layer_of))
    layers = evenly_spaced_layers(settings.n_layers, unsteered.n_layers)
    first_by_layer = {layer: unsteered.steering_vector(first, layer) for layer in layers}
    return {
        "dose_response": [
            condition
            for name, layer in layer_of.items()
            for condition in _vector_conditions(
                unsteered, settings, unsteered.steering_vector(name, layer)
            )
        ],
        "two_layers": [*layer_pair_conditions(first_by_layer, settings.where)],
        "comparison": [*_comparison_conditions(unsteered, settings, compared_sets)],
    }


def _vector_conditions(
    unsteered: UnsteeredActivations, settings: InterventionSettings, own: SteeringVector
) -> Iterator[Condition]:
    """A vector at its layer, and random vectors beside it."""
    removals, depth = settings.removals, unsteered.n_layers
    yield from own.conditions(settings.where, settings.coefficients, removals, depth=depth)
    activations, labels = unsteered.activations_and_labels(own.layer)
    if "leace" in removals:
        yield own.condition("leace", 1.0, leace_erasure(activations, labels), settings.where)
    for direction, vector in own.random_vectors(settings.n_random, activations).items():
        yield from vector.conditions(settings.where, (-1, 1), removals, direction, depth)


def _comparison_conditions(
    unsteered: UnsteeredActivations, settings: InterventionSettings, compared_sets: Sequence[str]
) -> Iterator[Condition]:
    """Each compared vector at each layer, all with the same norm: added, and set to its mean."""
    for layer in evenly_spaced_layers(settings.n_layers, unsteered.n_layers):
        activations, _ = unsteered.activations_and_labels(layer)
        norms = activations.map_blocks(lambda block: np.linalg.norm(block, axis=1))
        added_norm = COMPARISON_NORM * float(np.median(np.concatenate([*norms.blocks()])))
        for prompt_set in compared_sets:
            for variant in settings.compared_methods:
                vector = unsteered.steering_vector(f"{prompt_set}/{variant}", layer)
                vector = replace(vector, step=added_norm)
                yield from vector.conditions(settings.where, (-1, 1), ["mean"])


def evenly_spaced_layers(n_layers: int, depth: int) -> list[int]:
    """`n_layers` layers of a model with `depth`, evenly spaced, the first and last among them."""
    return sorted({round(layer) for layer in np.linspace(0, depth - 1, min(n_layers, depth))})
