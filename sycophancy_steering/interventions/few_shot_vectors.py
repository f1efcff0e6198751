"""Vectors of few pairs: of those that a prompt shows, or that a model is trained on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.storage.activation_shards import read_ids, read_origin, stream_activations
from sycophancy_steering.vectors.principal_component import first_component_weights


class PairDifferences:
    """The pairs of a prompt set as a model reads them, to take some of."""

    def __init__(self, model: str, prompt_set: str):
        self._folder = Path(f"data/activations/{model}/{prompt_set}")
        self._place = {each: n for n, each in enumerate(read_ids(self._folder, "matching"))}
        self.layers = read_origin(self._folder).n_layers

    def differences(
        self, layer: int, ids: Sequence[str], swapped: Collection[str] = ()
    ) -> ArrayStream:
        """(n, d_model): sycophantic minus other, of the questions `ids`; those of `swapped` the
        other way about, as somebody has it who takes one for the other."""
        rows = np.array([self._place[each] for each in ids])
        order = np.argsort(rows)
        signs = np.array([-1.0 if each in swapped else 1.0 for each in ids])[order, None]
        one, other = (
            stream_activations(self._folder, layer, each) for each in ("matching", "not_matching")
        )
        return ArrayStream.from_array(
            signs * one.subtract(other).select_rows(rows[order]).to_array()
        )

    def mean_difference(
        self, layer: int, ids: Sequence[str], swapped: Collection[str] = ()
    ) -> Floats:
        """(d_model,)"""
        return self.differences(layer, ids, swapped).mean

    def in_context_vector(self, layer: int, ids: Sequence[str]) -> Floats:
        """(d_model,): as `extraction.in_context_vector`, of all layers side by side."""
        every = [self.differences(each, ids) for each in range(self.layers)]
        along = first_component_weights(every)
        return every[layer].weighted_sums(along[None])[0] + every[layer].mean
