"""A model of params.yaml and vectors of it, and what they read of transcripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.engine.forward import extracted_layers
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.external.transcript_readouts import (
    Readout,
    projections,
    readouts,
    score_table,
)
from sycophancy_steering.external.transcripts import Transcripts
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.paths import MODELS
from sycophancy_steering.storage.vector_files import read_vectors


@dataclass(frozen=True)
class TranscriptRun:
    """Projections of transcripts on vectors."""

    transcripts: Transcripts
    names: Sequence[str]
    """Of the vectors."""
    read: Mapping[str, Floats]
    """What `projections` returns."""
    layers: Sequence[int]

    def readouts(self, seed: int) -> list[Readout]:
        """Each vector, position and layer against the labels."""
        return readouts(self.names, self.read, self.transcripts, self.layers, seed)

    def score_table(self) -> pl.DataFrame:
        """Every projection beside its label."""
        return score_table(self.names, self.read, self.transcripts, self.layers)


def read_through_model(
    transcripts: Transcripts, model: str, paths: Sequence[Path], layer: int | None
) -> TranscriptRun:
    """Runs `model` of params.yaml over the transcripts. Raises InputError where the vectors do not
    fit it, or it lacks the layer."""
    settings = read_section(ActivationSettings, "activations")
    language_model = load_language_model(
        MODELS / model, read_section(ModelSettings, "model", model)
    )
    n_layers = len(extracted_layers(language_model, settings))
    if layer is not None and layer >= n_layers:
        raise InputError(f"--layer {layer}: expected 0 to {n_layers - 1}, the layers of {model}")
    vectors = {}
    for path in paths:
        layers, _ = read_vectors(path, language_model.d_model)
        if len(layers) != n_layers:
            raise InputError(
                f"{path}: vectors for {len(layers)} layers, but {model} has {n_layers}; expected "
                "vectors of this model"
            )
        vectors[str(path)] = layers
    if len(vectors) < len(paths):
        raise InputError("--vectors: one of the files is named twice")
    read = projections(language_model, transcripts.labelled, vectors, settings)
    chosen = range(n_layers) if layer is None else [layer]
    return TranscriptRun(transcripts, list(vectors), read, chosen)
