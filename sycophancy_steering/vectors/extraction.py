"""Makes the vectors of many variants from one model's answers to a prompt set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.array_stream import RowsNotKept
from sycophancy_steering.storage.vector_files import Vectors, unusable_layer
from sycophancy_steering.vectors.contrast import MethodNotApplicable
from sycophancy_steering.vectors.labelled_activations import LabelledActivations
from sycophancy_steering.vectors.labelled_statistics import LabelledStatistics
from sycophancy_steering.vectors.methods import steering_vector


@dataclass(frozen=True)
class ExtractedVectors:
    """Vectors by the name of their variant."""

    vectors: dict[str, Vectors]
    """(n_layers, d_model)"""
    not_applicable: dict[str, str]
    """Variants that the answers do not allow, each with the reason."""


def extract_vectors(
    answers: LabelledActivations | LabelledStatistics, variants: Mapping[str, Variant]
) -> ExtractedVectors:
    """The vectors of all `variants`, a layer at a time, so that a layer is read once for all."""
    layers: dict[str, list[np.ndarray]] = {name: [] for name in variants}
    reasons: dict[str, str] = {}
    numbers = range(answers.origin.n_layers) if variants else ()
    for layer in tqdm(numbers, unit="layer", disable=None, desc="vectors"):
        for name, variant in variants.items():
            if name in reasons:
                continue
            try:
                contrast = answers.contrast(variant, layer)
                vector = steering_vector(variant.method, contrast, variant.normalisation)
            except MethodNotApplicable as error:
                reasons[name] = str(error)
            except RowsNotKept as error:
                reasons[name] = f"{variant.method} {error}"
            else:
                layers[name].append(vector)
    vectors = {name: np.stack(layers[name]) for name in variants if name not in reasons}
    for name in list(vectors):
        if reason := unusable_layer(vectors[name]):
            reasons[name] = reason
            del vectors[name]
    return ExtractedVectors(vectors, {name: reasons[name] for name in variants if name in reasons})
