"""What the analyses of one model share: its evaluation set, vectors, labels and selected layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS, PROMPTS, VECTORS
from sycophancy_steering.storage.activation_statistics import keeps_statistics
from sycophancy_steering.storage.cell_files import selected_layers
from sycophancy_steering.storage.vector_files import read_vectors, vector_paths, vector_sets
from sycophancy_steering.vectors.labelled_activations import (
    LabelledActivations,
    read_labelled_activations,
)
from sycophancy_steering.vectors.labelled_statistics import (
    LabelledStatistics,
    read_labelled_statistics,
)


@dataclass(frozen=True)
class ModelStudy:
    """One model's part of the study; everything is read when first used, and once."""

    model: str
    suite: Suite

    @cached_property
    def evaluation(self) -> EvaluationSet:
        """The model's answers to the evaluation set."""
        return EvaluationSet(self.model, self.suite.evaluation_set)

    @cached_property
    def extractions(self) -> dict[str, LabelledActivations]:
        """The model's answers to each extraction set whose activations are kept."""
        return {
            name: read_labelled_activations(
                ACTIVATIONS / self.model / name,
                LABELS / self.model / f"{name}.parquet",
                PROMPTS / f"{name}.parquet",
            )
            for name in self.suite.extraction_sets
            if name not in self.sets_with_statistics
        }

    @property
    def sets_with_statistics(self) -> list[str]:
        """The extraction sets of whose activations statistics are kept."""
        folders = {name: ACTIVATIONS / self.model / name for name in self.suite.extraction_sets}
        return [name for name, folder in folders.items() if keeps_statistics(folder)]

    @cached_property
    def statistics(self) -> dict[str, LabelledStatistics]:
        """The model's answers to these sets."""
        return {
            name: read_labelled_statistics(
                ACTIVATIONS / self.model / name, LABELS / self.model / f"{name}.parquet"
            )
            for name in self.sets_with_statistics
        }

    @cached_property
    def vectors(self) -> dict[tuple[str, str], Floats]:
        """(layers, d_model) by set and variant, without the null models; NaN where a vector from
        elsewhere lacks a layer."""
        vectors = {}
        for name in vector_sets(self.model, self.suite.extraction_sets):
            for path in vector_paths(VECTORS / self.model / name):
                values, provenance = read_vectors(path)
                if not provenance.get("null"):
                    vectors[name, path.stem] = values.astype(np.float64)
        return vectors

    @cached_property
    def families_of_sets(self) -> dict[str, set[tuple[str, str]]]:
        """The families and sources of each extraction set."""
        columns = ["family", "source"]
        return {
            name: set(pl.read_parquet(PROMPTS / f"{name}.parquet", columns=columns).rows())
            for name in self.suite.extraction_sets
        }

    @cached_property
    def selected_layers(self) -> dict[str, int]:
        """The layer selected for each variant of the headline's set, read after the prompt."""
        return selected_layers(self.model, self.suite.headline_set)

    @property
    def headline_layer(self) -> int:
        """The layer selected for the headline vector. Raises InputError where it has none."""
        if self.suite.headline_variant not in self.selected_layers:
            raise InputError(
                f"params.yaml: suite: no layer was selected for {self.suite.headline} of "
                f"{self.model}"
            )
        return self.selected_layers[self.suite.headline_variant]
