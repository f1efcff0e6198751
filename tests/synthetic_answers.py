"""Labelled activations on disk from arrays that a test makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sycophancy_steering.analysis.cells import Cell, Shifts
from sycophancy_steering.storage.activation_shards import Origin, write_shard
from sycophancy_steering.vectors.labelled_activations import LabelledActivations


def synthetic_answers(
    folder: Path,
    activations: Mapping[str, np.ndarray],
    items: Sequence[str] | np.ndarray,
    letters: Sequence[str] | np.ndarray | None = None,
    labels: np.ndarray | None = None,
    families: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
) -> LabelledActivations:
    """One layer of `activations` (n, d_model) at each position; options are A and B."""
    n, width = next(iter(activations.values())).shape
    folder.mkdir(parents=True, exist_ok=True)
    origin = Origin("m", "r", "float32", width, 1, "t")
    ids = [f"q{k}" for k in range(n)]
    positions = {name: (ids, rows[None].astype(np.float32)) for name, rows in activations.items()}
    write_shard(folder / "shard-00000.parquet", positions, origin)
    matching = np.full(n, "") if letters is None else np.array(letters)
    return LabelledActivations(
        folder,
        origin,
        labels=np.full(n, np.nan) if labels is None else labels,
        items=np.array(items),
        matching=matching,
        not_matching=np.where(matching == "", "", np.where(matching == "A", "B", "A")),
        answered=matching,
        families=np.full(n, "f") if families is None else np.array(families),
        sources=np.full(n, "s") if sources is None else np.array(sources),
    )


def evaluation_cell(
    family: str, source: str, rows: np.ndarray, labels: np.ndarray, items: np.ndarray
) -> Cell:
    """The answers of `test` at `rows`, of one template and without shifts."""
    none = np.zeros(0, dtype=int)
    return Cell(
        family,
        source,
        "test",
        rows,
        labels[rows],
        items[rows],
        templates=np.zeros(len(rows), dtype=int),
        shifts=Shifts(none, none.astype(float), none),
        invalid_share=0.0,
        null_aurocs={},
    )
