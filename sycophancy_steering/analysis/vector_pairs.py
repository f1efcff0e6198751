"""Two vector files, or folders of them, side by side: how far they agree, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sycophancy_steering.analysis.resampling import (
    item_bootstraps,
    item_halves,
    vectors_from_items,
)
from sycophancy_steering.config.reading import validated
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS, PROMPTS
from sycophancy_steering.statistics.estimates import Estimate
from sycophancy_steering.statistics.vector_agreement import (
    cosine,
    cosine_interval,
    disattenuated,
    principal_angles,
    reliability,
)
from sycophancy_steering.storage.vector_files import read_vectors, vector_paths
from sycophancy_steering.vectors.labelled_activations import (
    LabelledActivations,
    read_labelled_activations,
)

N_SPLITS, N_RESAMPLES = 10, 100


@dataclass(frozen=True)
class VectorFile:
    """Vectors, and the answers that they were made from, where these are here."""

    path: Path
    vectors: Floats
    """(layers, d_model)"""
    source: tuple[LabelledActivations, Variant] | None
    """What the vectors can be made from again."""


@dataclass(frozen=True)
class LayerAgreement:
    """How far two vectors of one layer agree."""

    cosine: Estimate
    """NaN bounds where the vectors cannot be made from resamples."""
    mahalanobis_cosine: Estimate | None
    reliabilities: tuple[float, float] | None
    disattenuated_cosine: float | None
    """The cosine over the largest one that the noise of both allows."""


def read_vector_file(path: Path) -> VectorFile:
    """A file's vectors, and the answers that they were made from. Raises InputError."""
    vectors, provenance = read_vectors(path)
    source = None
    if {"model", "prompt_set", "variant"} <= set(provenance):
        model, prompt_set = provenance["model"], provenance["prompt_set"]
        activations = ACTIVATIONS / model / prompt_set
        labels = LABELS / model / f"{prompt_set}.parquet"
        prompts = PROMPTS / f"{prompt_set}.parquet"
        if all(file.exists() for file in (activations, labels, prompts)):
            variant = validated(Variant, provenance["variant"], path, "variant")
            source = read_labelled_activations(activations, labels, prompts), variant
    return VectorFile(path, vectors.astype(np.float64), source)


def layer_agreements(one: VectorFile, two: VectorFile) -> list[LayerAgreement]:
    """Cosines by layer; with reliability and 95% intervals where both sources are here."""
    cosines = cosine(one.vectors, two.vectors)
    if not (one.source and two.source):
        return [
            LayerAgreement(Estimate(value, np.array(np.nan), np.array(np.nan)), None, None, None)
            for value in cosines
        ]
    reliabilities = [_reliability(*source) for source in (one.source, two.source)]
    resamples = [_bootstrap_vectors(*source) for source in (one.source, two.source)]
    low, high = cosine_interval(one.vectors, two.vectors, *resamples)
    corrected = disattenuated(cosines, *reliabilities)
    agreements = []
    for layer, value in enumerate(cosines):
        metric = one.source[0].stream(layer, "prompt").covariance
        pair = one.vectors[layer], two.vectors[layer]
        one_resampled, two_resampled = (vectors[:, layer] for vectors in resamples)
        bounds = cosine_interval(*pair, one_resampled, two_resampled, metric)
        agreements.append(
            LayerAgreement(
                Estimate(value, low[layer], high[layer]),
                Estimate(cosine(*pair, metric), *bounds),
                (float(reliabilities[0][layer]), float(reliabilities[1][layer])),
                float(corrected[layer]),
            )
        )
    return agreements


def _reliability(answers: LabelledActivations, variant: Variant) -> Floats:
    """(layers,) split-half reliability."""
    halves = [
        [vectors_from_items(answers, variant, half) for half in split]
        for split in item_halves(answers, N_SPLITS)
    ]
    return reliability(np.array(halves))


def _bootstrap_vectors(answers: LabelledActivations, variant: Variant) -> Floats:
    """(resamples, layers, d_model)"""
    samples = tqdm(
        item_bootstraps(answers, N_RESAMPLES), total=N_RESAMPLES, unit="resample", disable=None
    )
    return np.array([vectors_from_items(answers, variant, items) for items in samples])


def principal_angles_by_layer(one: Path, two: Path) -> list[Sequence[float]]:
    """Degrees, smallest first, between the spans of the vectors of two folders. Raises InputError
    for vectors of different shapes."""
    first, second = stacked_vectors(one), stacked_vectors(two)
    if first.shape[1:] != second.shape[1:]:
        raise InputError(f"{two}: vectors of another shape than those of {one}")
    return [
        principal_angles(first[:, layer], second[:, layer]).tolist()
        for layer in range(first.shape[1])
    ]


def stacked_vectors(folder: Path) -> Floats:
    """(vectors, layers, d_model) of a folder, without null models: these have one seed everywhere.

    Raises InputError where there are none, or of several shapes.
    """
    files = [read_vectors(path) for path in vector_paths(folder)]
    vectors = [values for values, provenance in files if not provenance.get("null")]
    if not vectors:
        raise InputError(f"{folder}: no vectors but null models")
    if len({values.shape for values in vectors}) > 1:
        raise InputError(f"{folder}: vectors of several shapes; expected those of one model")
    return np.stack(vectors).astype(np.float64)
