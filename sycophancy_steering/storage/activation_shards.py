"""Activations on disk: Parquet shards with one column a layer, and the responses beside them.

A shard holds rows `(id, position, layer_00, layer_01, ...)`, a row group a position, each state as
fixed-size binary. A position holds the questions that have it: a short answer has no sixth token.
A layer at a position is one page, uncompressed and without nulls, so its states lie in the file as
they lie in memory: any Parquet reader reads them, and this one reads just their bytes, at the speed
of a copy (`benchmarks/reading.py`). The schema's metadata key `activations` holds JSON: model,
revision, dtype, d_model, number of layers, prompt-template hash and style, and what else they
depend on.
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

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.half_precision import to_float32

KEY = b"activations"
RESPONSES = "responses.parquet"
PLAIN: dict[str, Any] = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": False,
    "data_page_size": 1 << 30,
}
"""A column chunk is one page, and its header is short."""
LONGEST_HEADER = 64
"""Of a page without statistics, in bytes; two pages would have two."""
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Origin:
    """What the states in a shard are states of."""

    model: str
    revision: str
    dtype: str
    """float32, float16 or bfloat16: how each number is stored."""
    d_model: int
    n_layers: int
    template_hash: str
    prompt_style: str = ""
    """How prompts are written, in words: with the model's chat template, or without."""
    extraction_key: str = ""
    """Stands for the model and all else that the states depend on."""


@dataclass(frozen=True)
class LayerActivations:
    """Residual stream states at one layer and position."""

    ids: list[str]
    activations: np.ndarray
    """(rows, d_model), float32, in the order of `ids`."""


def layer_column(layer: int) -> str:
    """The name of a layer's column, and of its tensor in a vector file."""
    return f"layer_{layer:02d}"


def write_shard(
    path: Path, positions: Mapping[str, tuple[Sequence[str], np.ndarray]], origin: Origin
) -> None:
    """Write what is `held` at each position: ids, and states (layers, rows, d_model) of the dtype
    that `origin` names."""
    width = origin.d_model * BYTES[origin.dtype]
    schema = pa.schema(
        [("id", pa.string()), ("position", pa.string())]
        + [pa.field(layer_column(n), pa.binary(width), False) for n in range(origin.n_layers)],
        metadata={KEY: json.dumps(asdict(origin), sort_keys=True)},
    )
    with pq.ParquetWriter(path, schema, **PLAIN) as writer:
        for position, (ids, states) in positions.items():
            columns = [pa.array(ids), pa.array([position] * len(ids))]
            for layer in states:
                data = pa.py_buffer(np.ascontiguousarray(layer))
                columns.append(
                    pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(ids), [None, data])
                )
            writer.write_table(
                pa.Table.from_arrays(columns, schema=schema), row_group_size=len(ids)
            )


def gather_shards(path: Path, sources: Sequence[Path], ids: Sequence[str]) -> None:
    """Writes a shard with the rows `ids` of others, in that order, a position at a time.

    A row that several of them hold is taken from the first.
    """
    schema = pq.read_schema(sources[0])
    order = {each: n for n, each in enumerate(ids)}
    files = [pq.ParquetFile(source) for source in sources]
    groups: dict[str, list[tuple[pq.ParquetFile, int]]] = {}
    for file in files:
        for number in range(file.num_row_groups):
            position = file.read_row_group(number, columns=["position"])["position"][0].as_py()
            groups.setdefault(position, []).append((file, number))
    with pq.ParquetWriter(path, schema, **PLAIN) as writer:
        for found in groups.values():
            tables, left = [], set(order)
            for file, number in found:
                table = file.read_row_group(number)
                held = table["id"].to_pylist()
                kept = [n for n, each in enumerate(held) if each in left]
                left -= set(held)
                tables.append(table.take(pa.array(kept, pa.int64())))
            table = pa.concat_tables(tables)
            places = np.argsort([order[each] for each in table["id"].to_pylist()])
            if len(places):
                table = table.take(places).combine_chunks()
                writer.write_table(table, row_group_size=len(table))


def read_origin(folder: Path) -> Origin:
    """What the states in `folder` are states of; InputError if its shards disagree."""
    found = {path: read_shard_origin(path) for path in _shards(folder)}
    if len(set(found.values())) > 1:
        raise InputError(f"{folder}: shards of different models or settings; run `dvc repro` again")
    return next(iter(found.values()))


def read_ids(folder: Path, position: str = "prompt") -> list[str]:
    """The questions that have a position, in the order of the shards."""
    read_origin(folder)
    return [each for path in _shards(folder) for each in _ids(path, position)]


def _ids(path: Path, position: str) -> list[str]:
    try:
        with pq.ParquetFile(path) as file:
            number = _group_of(file, position)
            return [] if number is None else _ids_of(file, number)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _ids_of(file: pq.ParquetFile, group: int) -> list[str]:
    return file.read_row_group(group, columns=["id"])["id"].to_pylist()


@dataclass(frozen=True)
class Page:
    """Where the states of some rows after a layer at a position lie in a shard."""

    path: Path
    group: int
    """The row group."""
    rows: int
    start: int
    """The first byte."""
    origin: Origin
    layer: int
    position: str

    def ids(self) -> list[str]:
        """The questions."""
        with pq.ParquetFile(self.path) as file:
            return _ids_of(file, self.group)

    def values(self) -> np.ndarray:
        """(rows, d_model), float32. InputError where they cannot be read or are not finite numbers."""
        dtype = self.origin.dtype
        kind = np.dtype(np.uint16 if dtype == "bfloat16" else dtype)
        raw = np.empty((self.rows, self.origin.d_model), kind)
        try:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(self.start)
                if file.readinto(raw.data) != raw.nbytes:
                    raise ValueError("it ends too early")
        except (OSError, ValueError) as error:
            raise _unreadable(self.path, error) from None
        values = to_float32(raw, dtype)
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise InputError(
                f"{self.path.parent}: question {self.ids()[row]}, layer {self.layer}, "
                f"{self.position}: expected finite numbers; the model overflows in this dtype, set "
                "another in params.yaml"
            )
        return values


def pages_of(folder: Path, layer: int, position: str) -> list[Page]:
    """The states after `layer` at `position`, in the order of the shards; none is read yet.

    Raises InputError for a shard that cannot be read, a layer that is not there, or a position that
    has no rows.
    """
    origin = read_origin(folder)
    if not 0 <= layer < origin.n_layers:
        raise InputError(f"{folder}: no layer {layer}; expected 0 to {origin.n_layers - 1}")
    found = []
    for path in _shards(folder):
        try:
            with pq.ParquetFile(path) as file:
                group = _group_of(file, position)
                if group is None:
                    continue
                held = file.metadata.row_group(group)
            start = _start(_chunk(held, layer_column(layer)), held.num_rows, origin)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(path, error) from None
        found.append(Page(path, group, held.num_rows, start, origin, layer, position))
    if not found:
        raise InputError(f"{folder}: no rows at position {position!r}")
    return found


def read_activations(folder: Path, layer: int, position: str) -> LayerActivations:
    """All states after `layer` at `position`; no other is read. InputError as for `pages_of`."""
    pages = pages_of(folder, layer, position)
    ids = [each for page in pages for each in page.ids()]
    return LayerActivations(ids, np.concatenate([page.values() for page in pages]))


def stream_activations(folder: Path, layer: int, position: str) -> ArrayStream:
    """As `read_states`, read a shard at a time and as often as it is wanted."""
    pages = pages_of(folder, layer, position)
    count = sum(page.rows for page in pages)
    return ArrayStream(count, lambda: (page.values().astype(float) for page in pages))


def _group_of(file: pq.ParquetFile, position: str) -> int | None:
    """The row group of a position: a shard has one of each that any of its rows has."""
    for number in range(file.num_row_groups):
        if file.read_row_group(number, columns=["position"])["position"][0].as_py() == position:
            return number
    return None


def _chunk(group: pq.RowGroupMetaData, column: str) -> pq.ColumnChunkMetaData:
    chunks = (group.column(n) for n in range(group.num_columns))
    return next(chunk for chunk in chunks if chunk.path_in_schema == column)


def _start(chunk: pq.ColumnChunkMetaData, rows: int, origin: Origin) -> int:
    """The first byte of a column of states. ValueError where it is not one plain page."""
    header = chunk.total_compressed_size - rows * origin.d_model * BYTES[origin.dtype]
    if chunk.compression != "UNCOMPRESSED" or not 0 < header <= LONGEST_HEADER:
        raise ValueError("expected one uncompressed page a layer and position")
    return chunk.data_page_offset + header


def _shards(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("shard-*.parquet"))
    if not paths:
        raise InputError(f"{folder}: no activation shards; run `dvc repro` or `dvc pull`")
    return paths


def read_shard_origin(path: Path) -> Origin:
    """What the states in one shard are states of."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Origin(**json.loads(metadata[KEY]))
    except KeyError:
        raise InputError(f"{path}: a Parquet file without the metadata key 'activations'") from None
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0]
    return InputError(
        f"{path}: not a readable activation shard ({reason}); delete it and run `dvc repro` or "
        "`dvc pull`"
    )
