"""How well projections on vectors predict sycophantic answers, cell by cell.

A cell is the answers of one family (or one source within it) of one split, read at one layer and
position. Beside every AUROC stand the null models: random directions, shuffled labels, the letter
of the sycophantic option, the length of the prompt, and the model's own logit margin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cell_metrics import cell_metrics, random_direction_range
from sycophancy_steering.analysis.cells import Cell, cell_columns, evaluation_cells
from sycophancy_steering.analysis.readouts import (
    READ_POSITIONS,
    READOUTS,
    random_direction_aurocs,
    read_out,
)
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics.sign_flips import SignFlipTest
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

ARRAYS_IN_MEMORY = 16
"""The largest number of arrays of the scores' size that exist at the same time."""
LAYERS_PER_BLOCK = 8
"""Extraction layers of one vector that are scored together."""


@dataclass(frozen=True)
class EvaluationOptions:
    """How vectors are evaluated."""

    seed: int = 0
    """Of random directions and shuffled labels."""
    grader_error: GraderError | None = None
    """Where given, AUROCs and their intervals are those against labels without it."""
    memory_mb: int = 32
    """Megabytes that scores may take; changes no result."""
    sign_flips: SignFlipTest | None = None
    """Collects the projections' statistics under random sign flips."""


@dataclass(frozen=True)
class VectorBlock:
    """Vectors that are scored together: some extraction layers of some vectors."""

    parts: list[tuple[str, range]]
    """Vector and extraction layers."""

    @property
    def names(self) -> list[str]:
        """(k,) the vector of each row."""
        return [name for name, layers in self.parts for _ in layers]

    @property
    def index(self) -> dict[str, Sequence[object]]:
        """The columns that name the rows of all read-outs (2 k,)."""
        return {
            "vector": self.names * len(READOUTS),
            "extraction_layer": [n for _, layers in self.parts for n in layers] * len(READOUTS),
            "readout": [readout for readout in READOUTS for _ in self.names],
        }

    def stacked(self, vectors: Mapping[str, np.ndarray]) -> Floats:
        """(k, d_model)"""
        return np.concatenate(
            [vectors[name][layers.start : layers.stop] for name, layers in self.parts]
        ).astype(np.float64)


def evaluate_vectors(
    vectors: Mapping[str, np.ndarray],
    activations: Callable[[int, str], ArrayStream],
    labels: pl.DataFrame,
    options: EvaluationOptions,
) -> pl.DataFrame:
    """One row a vector, extraction layer, layer and position read, cell and read-out.

    Each of `vectors` is (layers, d_model); `activations(layer, position)` is (n, d_model), of the n
    rows of `labels` (see `LABEL_COLUMNS`).
    """
    cells = evaluation_cells(labels)
    n_layers, d_model = next(iter(vectors.values())).shape
    blocks = _vector_blocks(list(vectors), n_layers, len(labels), options.memory_mb)
    tables = []
    for position in READ_POSITIONS:
        for layer in range(n_layers):
            stream = activations(layer, position)
            aurocs = random_direction_aurocs(options.seed, layer, d_model, stream, cells)
            constants = [
                {"layer": layer, "position": position}
                | {"family": cell.family, "source": cell.source, "split": cell.split}
                | cell_columns(cell)
                | random_direction_range(null, options.grader_error)
                for cell, null in zip(cells, aurocs, strict=True)
            ]
            parts = [
                table.with_columns(pl.lit(value).alias(name) for name, value in columns.items())
                for block in blocks
                for columns, table in zip(
                    constants, _cell_tables(block, vectors, stream, cells, options), strict=True
                )
            ]
            # Joined at once: thousands of small tables take twice the memory of one.
            tables.append(pl.concat(parts, how="vertical_relaxed", rechunk=True))
    return pl.concat(tables, how="vertical_relaxed")


def _vector_blocks(
    names: list[str], n_layers: int, n_answers: int, memory_mb: int
) -> list[VectorBlock]:
    """All vectors at all extraction layers, in blocks whose scores fit in memory."""
    starts = range(0, n_layers, LAYERS_PER_BLOCK)
    layers = [range(start, min(start + LAYERS_PER_BLOCK, n_layers)) for start in starts]
    parts = [(name, some) for name in names for some in layers]
    part_bytes = n_answers * 8 * len(layers[0]) * len(READOUTS) * ARRAYS_IN_MEMORY
    size = max(1, memory_mb * 2**20 // part_bytes)
    return [VectorBlock(parts[n : n + size]) for n in range(0, len(parts), size)]


def _cell_tables(
    block: VectorBlock,
    vectors: Mapping[str, np.ndarray],
    stream: ArrayStream,
    cells: list[Cell],
    options: EvaluationOptions,
) -> Iterator[pl.DataFrame]:
    """For each cell, a row for each vector and read-out of `block`."""
    scores = read_out(stream, block.stacked(vectors)).reshape(-1, len(stream))
    select = {(cell.family, cell.source): cell for cell in cells if cell.split == "select"}
    index = block.index
    for cell in cells:
        fitted_on = select.get((cell.family, cell.source)) if cell.split == "test" else None
        columns = cell_metrics(cell, scores, fitted_on, options.seed, options.grader_error)
        statistic = np.full(len(scores), np.nan)
        if options.sign_flips and cell.split == "test" and cell.source == EVERY_SOURCE:
            k = len(block.names)
            projections = np.take(scores[:k], cell.rows, axis=1)
            statistic[:k] = options.sign_flips.add(
                block.names, projections, cell.labels, cell.items
            )
        yield pl.DataFrame(index | columns | {"sign_flip_statistic": statistic})
