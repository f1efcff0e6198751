"""The answers of one model to the evaluation set: labels, cells and activations, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from sycophancy_steering.analysis.cells import LABEL_COLUMNS, Cell, evaluation_cells
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS, PROMPTS
from sycophancy_steering.storage.activation_shards import (
    Origin,
    read_ids,
    read_origin,
    stream_activations,
)
from sycophancy_steering.storage.cell_files import EVERY_SOURCE
from sycophancy_steering.storage.label_files import read_grader_error, read_labels
from sycophancy_steering.storage.result_cache import digest


@dataclass(frozen=True)
class EvaluationSet:
    """The answers of `model` to the prompt set `name`; everything is read when first used."""

    model: str
    name: str

    @property
    def folder(self) -> Path:
        """The activations."""
        return ACTIVATIONS / self.model / self.name

    @property
    def labels_path(self) -> Path:
        """The labels."""
        return LABELS / self.model / f"{self.name}.parquet"

    @property
    def prompts_path(self) -> Path:
        """The questions."""
        return PROMPTS / f"{self.name}.parquet"

    @cached_property
    def origin(self) -> Origin:
        """The model, layers and width of the activations."""
        return read_origin(self.folder)

    @cached_property
    def labels(self) -> pl.DataFrame:
        """A row an answer, in the order of the activations: `LABEL_COLUMNS` and `persona`."""
        return read_labels(self.labels_path, read_ids(self.folder), [*LABEL_COLUMNS, "persona"])

    @cached_property
    def cells(self) -> list[Cell]:
        """All evaluation cells."""
        return evaluation_cells(self.labels)

    @property
    def pooled_cells(self) -> list[Cell]:
        """The cells that pool all sources of their family."""
        return [cell for cell in self.cells if cell.source == EVERY_SOURCE]

    @cached_property
    def grader_error(self) -> GraderError | None:
        """How often the labels are known to be wrong, where a judge gave them."""
        return read_grader_error(self.labels_path)

    @cached_property
    def digest(self) -> str:
        """Changes with the activations or the labels: part of the keys of cached results."""
        return digest([self.folder, self.labels_path])

    def activations(self, layer: int, position: str) -> ArrayStream:
        """(n, d_model) of all answers at one layer and position."""
        return stream_activations(self.folder, layer, position)
