"""Activations on disk: Parquet shards with one column a layer.

A shard has rows `(id, position, layer_00, layer_01, ...)`, a row group a position, each activation
as fixed-size binary. A position has the questions that reach it: a short answer has no sixth token.
Columns are uncompressed, so reading a layer at a position maps just its bytes
(`benchmarks/reading.py`). The schema's metadata key `activations` holds an `Origin` as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.activations import STATISTICS, layer_column
from sycophancy_steering.storage.half_precision import to_float32

METADATA_KEY = b"activations"
UNCOMPRESSED: dict[str, Any] = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": False,
    "data_page_size": 1 << 30,
}
"""Activations are noise to a compressor, and statistics of bytes mean nothing."""
NUMBER_TYPES = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(np.uint16),
}
"""By `Origin.dtype`: how numpy holds the stored numbers."""


@dataclass(frozen=True)
class Origin:
    """Which model a shard's activations come from, and how they were extracted."""

    model: str
    revision: str
    dtype: str
    """float32, float16 or bfloat16: how each number is stored."""
    d_model: int
    n_layers: int
    template_hash: str
    """Of the tokenizer's chat template."""
    prompt_style: str = ""
    """How prompts are written, in words: with the model's chat template, or without."""
    extraction_key: str = ""
    """Digest of the model and of all else that the activations depend on."""


@dataclass(frozen=True)
class ShardPosition:
    """The rows of one shard at one position."""

    ids: list[str]
    """Questions."""
    group: int
    """The row group."""


@dataclass(frozen=True)
class LayerActivations:
    """Residual stream activations at one layer and position."""

    ids: list[str]
    """(n,) questions."""
    activations: NDArray[np.float32]
    """(n, d_model)"""


def write_shard(
    path: Path, positions: Mapping[str, tuple[Sequence[str], np.ndarray]], origin: Origin
) -> None:
    """Writes, for each position, question ids (n,) and activations (n_layers, n, d_model).

    Activations are of the type that `NUMBER_TYPES` has for the origin's dtype.
    """
    width = origin.d_model * NUMBER_TYPES[origin.dtype].itemsize
    schema = pa.schema(
        [("id", pa.string()), ("position", pa.string())]
        + [pa.field(layer_column(n), pa.binary(width), False) for n in range(origin.n_layers)],
        metadata={METADATA_KEY: json.dumps(asdict(origin), sort_keys=True)},
    )
    with pq.ParquetWriter(path, schema, **UNCOMPRESSED) as writer:
        for position, (ids, activations) in positions.items():
            columns = [pa.array(ids), pa.array([position] * len(ids))]
            for layer in activations:
                data = pa.py_buffer(np.ascontiguousarray(layer))
                columns.append(
                    pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(ids), [None, data])
                )
            writer.write_table(
                pa.Table.from_arrays(columns, schema=schema), row_group_size=len(ids)
            )


def gather_shards(path: Path, sources: Sequence[Path], ids: Sequence[str]) -> None:
    """Writes a shard with the rows `ids` of `sources`, in that order at each position.

    Of a row that several sources have, the first is taken.
    """
    schema = pq.read_schema(sources[0])
    order = {question: n for n, question in enumerate(ids)}
    files = [pq.ParquetFile(source) for source in sources]
    groups: dict[str, list[tuple[pq.ParquetFile, int]]] = {}
    for file in files:
        for group in range(file.num_row_groups):
            groups.setdefault(_position_of(file, group), []).append((file, group))
    with pq.ParquetWriter(path, schema, **UNCOMPRESSED) as writer:
        for row_groups in groups.values():
            tables, missing = [], set(order)
            for file, group in row_groups:
                table = file.read_row_group(group)
                stored = table["id"].to_pylist()
                rows = [n for n, question in enumerate(stored) if question in missing]
                missing -= set(stored)
                tables.append(table.take(pa.array(rows, pa.int64())))
            table = pa.concat_tables(tables)
            ranks = np.argsort([order[question] for question in table["id"].to_pylist()])
            if len(ranks):
                table = table.take(ranks).combine_chunks()
                writer.write_table(table, row_group_size=len(table))


def read_origin(folder: Path) -> Origin:
    """The origin of the shards or statistics in `folder`; raises InputError if shards disagree."""
    if (folder / STATISTICS).exists():
        return Origin(**json.loads((folder / STATISTICS).read_text())["origin"])
    origins = {path: read_shard_origin(path) for path in _shards(folder)}
    if len(set(origins.values())) > 1:
        raise InputError(f"{folder}: shards of different models or settings; run `dvc repro` again")
    return next(iter(origins.values()))


def read_shard_origin(path: Path) -> Origin:
    """The origin of one shard."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Origin(**json.loads(metadata[METADATA_KEY]))
    except KeyError:
        raise InputError(f"{path}: a Parquet file without the metadata key 'activations'") from None
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from None


def read_ids(folder: Path, position: str = "prompt") -> list[str]:
    """The questions that have activations at `position`, in the order of the shards."""
    read_origin(folder)
    ids: list[str] = []
    for path in _shards(folder):
        try:
            with pq.ParquetFile(path) as file:
                group = _group_at(file, position)
                if group is not None:
                    ids += _ids_of(file, group)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None
    return ids


@dataclass(frozen=True)
class ShardLayer:
    """One layer's activations at a position in one shard, read on demand."""

    path: Path
    group: int
    """The row group."""
    n_rows: int
    origin: Origin
    layer: int
    position: str

    def ids(self) -> list[str]:
        """(n_rows,) questions."""
        with pq.ParquetFile(self.path) as file:
            return _ids_of(file, self.group)

    def activations(self) -> NDArray[np.float32]:
        """(n_rows, d_model). Raises InputError if unreadable or not finite."""
        values = to_float32(self._stored_numbers(), self.origin.dtype)
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise InputError(
                f"{self.path.parent}: question {self.ids()[row]}, layer {self.layer}, "
                f"{self.position}: expected finite numbers; the model overflows in this dtype, set "
                "another in params.yaml"
            )
        return values

    def _stored_numbers(self) -> np.ndarray:
        """(n_rows, d_model) of `NUMBER_TYPES`, without a copy where the file is one page."""
        number = NUMBER_TYPES[self.origin.dtype]
        name, width = layer_column(self.layer), self.origin.d_model
        try:
            with pq.ParquetFile(self.path, memory_map=True) as file:
                column = file.read_row_group(self.group, columns=[name], use_threads=False)[name]
            if column.type != pa.binary(width * number.itemsize) or column.null_count:
                raise ValueError(f"{name} is {column.type}, expected {width} numbers without nulls")
            chunks = []
            for chunk in column.chunks:
                numbers = np.frombuffer(chunk.buffers()[1], number)
                start = chunk.offset * width
                chunks.append(numbers[start : start + len(chunk) * width])
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise _unreadable(self.path, error) from None
        numbers = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
        return numbers.reshape(self.n_rows, width)


def shard_positions(path: Path) -> dict[str, ShardPosition]:
    """The positions of one shard, in its order."""
    with pq.ParquetFile(path) as file:
        return {
            _position_of(file, group): ShardPosition(_ids_of(file, group), group)
            for group in range(file.num_row_groups)
        }


def shard_layers(folder: Path, layer: int, position: str) -> list[ShardLayer]:
    """The activations of `layer` at `position`, in the order of the shards; none is read yet.

    Raises InputError for an unreadable shard, a missing layer, or a position without rows.
    """
    origin = read_origin(folder)
    if not 0 <= layer < origin.n_layers:
        raise InputError(f"{folder}: no layer {layer}; expected 0 to {origin.n_layers - 1}")
    parts = []
    for path in _shards(folder):
        try:
            with pq.ParquetFile(path) as file:
                group = _group_at(file, position)
                if group is None:
                    continue
                n_rows = file.metadata.row_group(group).num_rows
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None
        parts.append(ShardLayer(path, group, n_rows, origin, layer, position))
    if not parts:
        raise InputError(f"{folder}: no rows at position {position!r}")
    return parts


def read_activations(folder: Path, layer: int, position: str) -> LayerActivations:
    """All activations of `layer` at `position`. Raises InputError as `shard_layers` does."""
    parts = shard_layers(folder, layer, position)
    ids = [question for part in parts for question in part.ids()]
    return LayerActivations(ids, np.concatenate([part.activations() for part in parts]))


def stream_activations(folder: Path, layer: int, position: str) -> ArrayStream:
    """As `read_activations`, a shard at a time, read anew on every pass."""
    parts = shard_layers(folder, layer, position)
    count = sum(part.n_rows for part in parts)
    return ArrayStream(count, lambda: (part.activations().astype(float) for part in parts))


def _group_at(file: pq.ParquetFile, position: str) -> int | None:
    """The row group of a position, or None."""
    groups = range(file.num_row_groups)
    return next((group for group in groups if _position_of(file, group) == position), None)


def _position_of(file: pq.ParquetFile, group: int) -> str:
    return file.read_row_group(group, columns=["position"])["position"][0].as_py()


def _ids_of(file: pq.ParquetFile, group: int) -> list[str]:
    return file.read_row_group(group, columns=["id"])["id"].to_pylist()


def _shards(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("shard-*.parquet"))
    if not paths and (folder / STATISTICS).exists():
        raise InputError(
            f"{folder}: statistics of activations; this needs every activation: set prompt_set."
            f"{folder.name}.keep: activations in params.yaml"
        )
    if not paths:
        raise InputError(f"{folder}: no activation shards; run `dvc repro` or `dvc pull`")
    return paths


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0]
    return InputError(
        f"{path}: not a readable activation shard ({reason}); delete it and run `dvc repro` or "
        "`dvc pull`"
    )
