"""All that is done to a model, measured in what its states are like where nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.reading import read_names
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.interventions.conditions import (
    SteeringVector,
    Condition,
    layer_pair_conditions,
    leace_erasure,
    _scale_of,
)
from sycophancy_steering.interventions.steering_settings import evenly_spaced_layers
from sycophancy_steering.storage.activation_shards import read_origin, stream_activations
from sycophancy_steering.storage.cell_files import selected_layer
from sycophancy_steering.storage.vector_files import read_vectors

COMPARISON_NORM = 0.25
"""Of a state's typical length: how much of each vector is added where vectors are compared."""


class UnsteeredActivations:
    """What is known of a model where nothing is done to it, from answers of the split `select`."""

    def __init__(
        self, model: str, activations: Path, select: pl.DataFrame, family: str | None = None
    ):
        """`family` is that of the questions to be asked; all of them, if there is none."""
        self.model = model
        self.activations = activations
        self.select = select
        self.family = family
        self.layers = read_origin(activations).n_layers

    def steering_vector(self, name: str, layer: int) -> SteeringVector:
        """A vector (SET/VARIANT) with the gap of the families that it was made from, and the level
        of the family that is asked about: at the prompts' last tokens."""
        vector = read_vectors(Path(f"vectors/{self.model}/{name}.safetensors"))[0][layer]
        made_from = pl.read_parquet(
            f"data/prompts/{name.partition('/')[0]}.parquet", columns=["family"]
        )["family"].unique()
        own = self.select.filter(pl.col("family").is_in(made_from.to_list()))
        own = own if own["label"].n_unique() == 2 else self.select
        here = self._here()
        exact = vector.astype(np.float64)
        gap, level = (
            _scale_of(
                exact,
                stream_activations(self.activations, layer, "prompt").select_rows(rows),
                labels,
            )
            for rows, labels in (columns(own), columns(here))
        )
        return SteeringVector(name, layer, exact, gap.gap, level.level)

    def _here(self) -> pl.DataFrame:
        if self.family is None:
            return self.select
        return self.select.filter(pl.col("family") == self.family)

    def activations_and_labels(self, layer: int) -> tuple[ArrayStream, NDArray[np.integer]]:
        """Of the family's answers: (n, d_model), and their labels."""
        rows, labels = columns(self._here())
        return stream_activations(self.activations, layer, "prompt").select_rows(rows), labels


def columns(answers: pl.DataFrame) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Where the answers stand, and their labels."""
    return answers["row"].to_numpy(), answers["label"].to_numpy()


def planned_conditions(known: UnsteeredActivations, settings: InterventionSettings) -> dict[str, list[Condition]]:
    """All that is done to a model: `doses`, `layers` (two at once) and `compared` (vectors)."""
    where = settings.where
    doses = [each for name in settings.vectors for each in _vector_conditions(known, settings, name)]
    first = {
        layer: known.steering_vector(settings.vectors[0], layer) for layer in evenly_spaced_layers(settings.n_layers, known.layers)
    }
    return {
        "doses": doses,
        "layers": [*layer_pair_conditions(first, where)],
        "compared": [*_comparison_conditions(known, settings)],
    }


def _vector_conditions(known: UnsteeredActivations, settings: InterventionSettings, name: str) -> Iterator[Condition]:
    """A vector at its chosen layer and random ones beside it: added, removed, erased."""
    own = known.steering_vector(name, selected_layer(known.model, name))
    yield from own.conditions(settings.where, settings.coefficients, depth=known.layers)
    states, labels = known.activations_and_labels(own.layer)
    yield own.condition("leace", 1.0, leace_erasure(states, labels), settings.where)
    for direction, each in own.random_vectors(settings.n_random, states).items():
        yield from each.conditions(settings.where, (-1, 1), direction, known.layers)


def _comparison_conditions(known: UnsteeredActivations, settings: InterventionSettings) -> Iterator[Condition]:
    """Every vector that is compared, at `layers` and all of one length: added, and set to its
    mean."""
    for layer in evenly_spaced_layers(settings.n_layers, known.layers):
        lengths = known.activations_and_labels(layer)[0].map_blocks(lambda block: np.linalg.norm(block, axis=1))
        typical = float(np.median(np.concatenate([*lengths.blocks()])))
        for prompt_set in read_names("extraction_sets"):
            for variant in settings.compared_methods:
                each = known.steering_vector(f"{prompt_set}/{variant}", layer)
                each = SteeringVector(each.vector, layer, each.vector, COMPARISON_NORM * typical, each.midpoint)
                for condition in each.conditions(settings.where, (-1, 1)):
                    if condition.kind != "remove":
                        yield condition
