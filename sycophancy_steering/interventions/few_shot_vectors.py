"""Vectors from a few pairs: those that a prompt shows, or that a model is fine-tuned on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.schemas.paths import ACTIVATIONS
from sycophancy_steering.storage.activation_shards import read_ids, read_origin, stream_activations
from sycophancy_steering.vectors.principal_component import first_component_weights


class PairDifferences:
    """Differences of a model's activations within the pairs of a prompt set.

    Read when first used: where no vector of a few pairs is asked for, the set may keep statistics.
    """

    def __init__(self, model: str, prompt_set: str):
        self._folder = ACTIVATIONS / model / prompt_set

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(read_ids(self._folder, "matching"))}

    @cached_property
    def n_layers(self) -> int:
        """How many layers the activations have."""
        return read_origin(self._folder).n_layers

    def differences(
        self, layer: int, ids: Sequence[str], swapped: Collection[str] = ()
    ) -> ArrayStream:
        """(n, d_model): sycophantic minus other answer of the questions `ids`, in the order of the
        prompt set; the opposite for those of `swapped`, whose labels are wrong."""
        rows = np.array([self._rows[id] for id in ids])
        order = np.argsort(rows)
        signs = np.array([-1.0 if id in swapped else 1.0 for id in ids])[order, None]
        matching, not_matching = (
            stream_activations(self._folder, layer, position)
            for position in ("matching", "not_matching")
        )
        pairs = matching.subtract(not_matching).select_rows(rows[order])
        return ArrayStream.from_array(signs * pairs.to_array())

    def mean_difference(
        self, layer: int, ids: Sequence[str], swapped: Collection[str] = ()
    ) -> Floats:
        """(d_model,)"""
        return self.differences(layer, ids, swapped).mean

    def in_context_vector(self, layer: int, ids: Sequence[str]) -> Floats:
        """(d_model,): the part at `layer` of the in-context vector, which spans all layers (Liu et
        al. 2023, https://arxiv.org/abs/2311.06668)."""
        by_layer = [self.differences(number, ids) for number in range(self.n_layers)]
        weights = first_component_weights(by_layer)
        return by_layer[layer].weighted_sums(weights[None])[0] + by_layer[layer].mean
