"""Two vectors in files of any format, or folders of vectors, side by side: how far they agree."""

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
from sycophancy_steering.config.foreign_vectors import (
    UNKNOWN,
    ForeignVectorSettings,
    Numbering,
)
from sycophancy_steering.config.reading import validated
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.exchange.layer_numbers import layers_in_words
from sycophancy_steering.exchange.reading import read_file, read_foreign_vectors
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
from sycophancy_steering.storage.activation_statistics import keeps_statistics
from sycophancy_steering.storage.vector_files import has_vector, read_vectors, vector_paths
from sycophancy_steering.vectors.labelled_activations import (
    LabelledActivations,
    read_labelled_activations,
)

N_SPLITS, N_RESAMPLES = 10, 100


@dataclass(frozen=True)
class VectorFile:
    """Vectors, and the answers that they were made from, where these are here."""

    path: Path
    layers: dict[int, Floats]
    """(d_model,) by layer"""
    model: str
    """The model that they are of, or `unknown`."""
    source: tuple[LabelledActivations, Variant] | None = None
    """What the vectors can be made from again."""

    def stacked(self, layers: Sequence[int]) -> Floats:
        """(layers, d_model)"""
        return np.stack([self.layers[layer] for layer in layers])

    @property
    def d_model(self) -> int:
        """The width of the vectors."""
        return len(next(iter(self.layers.values())))


@dataclass(frozen=True)
class LayerAgreement:
    """How far two vectors of one layer agree."""

    layer: int
    cosine: Estimate
    """NaN bounds where the vectors cannot be made from resamples."""
    mahalanobis_cosine: Estimate | None
    reliabilities: tuple[float, float] | None
    disattenuated_cosine: float | None
    """The cosine over the largest one that the noise of both allows."""


def read_vector_file(path: Path, numbering: Numbering | None = None) -> VectorFile:
    """The vectors of a file of this project with the answers that they were made from; or those of
    a file or folder from elsewhere, whose layers are counted as `numbering` says.

    Raises InputError.
    """
    settings = ForeignVectorSettings(files=[str(path)], model=UNKNOWN, numbering=numbering)
    read = read_foreign_vectors(settings)
    layers = {layer: vector.astype(np.float64) for layer, vector in read.layers.items()}
    provenance = read_file(path).metadata if path.suffix == ".safetensors" else {}
    origin = provenance.get("origin", provenance)
    model = str(origin.get("model", UNKNOWN)) if isinstance(origin, dict) else UNKNOWN
    source = None
    names = [provenance.get("model"), provenance.get("prompt_set")]
    if "variant" in provenance and all(isinstance(name, str) for name in names):
        model, prompt_set = provenance["model"], provenance["prompt_set"]
        activations = ACTIVATIONS / model / prompt_set
        labels = LABELS / model / f"{prompt_set}.parquet"
        prompts = PROMPTS / f"{prompt_set}.parquet"
        has_rows = not keeps_statistics(activations)
        if has_rows and all(file.exists() for file in (activations, labels, prompts)):
            variant = validated(Variant, provenance["variant"], path, "variant")
            source = read_labelled_activations(activations, labels, prompts), variant
    return VectorFile(path, layers, model, source)


def shared_layers(one: VectorFile, two: VectorFile) -> list[int]:
    """The layers that both have. Raises InputError where there are none, or widths differ."""
    if one.d_model != two.d_model:
        raise InputError(
            f"{two.path}: vectors of width {two.d_model}, but {one.path} has {one.d_model}; "
            "expected the same width"
        )
    if not (shared := sorted(one.layers.keys() & two.layers.keys())):
        raise InputError(
            f"{two.path}: {layers_in_words([*two.layers])}, but {one.path} has "
            f"{layers_in_words([*one.layers])}; expected some in common"
        )
    return shared


def layer_agreements(one: VectorFile, two: VectorFile) -> list[LayerAgreement]:
    """Cosines at the `shared_layers`; with reliability and 95% intervals where both sources are
    here."""
    layers = shared_layers(one, two)
    first, second = one.stacked(layers), two.stacked(layers)
    cosines = cosine(first, second)
    if not (one.source and two.source):
        nothing = np.array(np.nan)
        return [
            LayerAgreement(layer, Estimate(value, nothing, nothing), None, None, None)
            for layer, value in zip(layers, cosines, strict=True)
        ]
    reliabilities = [_reliability(*source) for source in (one.source, two.source)]
    resamples = [_bootstrap_vectors(*source) for source in (one.source, two.source)]
    low, high = cosine_interval(first, second, *resamples)
    corrected = disattenuated(cosines, *reliabilities)
    agreements = []
    for layer, value in enumerate(cosines):  # vectors that were made here have all layers
        metric = one.source[0].stream(layer, "prompt").covariance
        pair = first[layer], second[layer]
        one_resampled, two_resampled = (vectors[:, layer] for vectors in resamples)
        bounds = cosine_interval(*pair, one_resampled, two_resampled, metric)
        agreements.append(
            LayerAgreement(
                layer,
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


def holds_vectors_of_all_layers(path: Path) -> bool:
    """Whether a folder holds several vectors, each of all layers, and not one file a layer."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else []
    return bool(files) and len(read_file(files[0]).tensors) > 1


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
    if any(not has_vector(values).all() for values in vectors):
        raise InputError(f"{folder}: vectors that lack layers; expected those of all layers")
    if len({values.shape for values in vectors}) > 1:
        raise InputError(f"{folder}: vectors of several shapes; expected those of one model")
    return np.stack(vectors).astype(np.float64)
