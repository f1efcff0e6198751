"""Activations on disk: Parquet shards with one column a layer, and the responses beside them.

A shard holds rows `(id, position, layer_00, layer_01, ...)`, a row group a position, each state as
fixed-size binary, which reads at the speed of the disk where a list of floats does not. So reading
one layer at one position reads only its bytes. A position holds the questions that have it: a short
answer has no sixth token. The schema's metadata key `activations` holds JSON:
model, revision, dtype, d_model, number of layers, prompt-template hash and style.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lib.refusal import Refusal

KEY = b"activations"
RESPONSES = "responses.parquet"
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Origin:
    """What the states in a shard are states of."""

    model: str
    revision: str
    dtype: str
    """float32, float16 or bfloat16: how each number is stored."""
    d_model: int
    layers: int
    template_hash: str
    style: str = ""
    """How prompts are written, in words: with the model's chat template, or without."""


@dataclass(frozen=True)
class States:
    """Residual stream states at one layer and position."""

    ids: list[str]
    values: np.ndarray
    """(rows, d_model), float32, in the order of `ids`."""


def layer_column(layer: int) -> str:
    """The name of a layer's column, and of its tensor in a vector file."""
    return f"layer_{layer:02d}"


def write_shard(
    path: Path, held: Mapping[str, tuple[Sequence[str], np.ndarray]], origin: Origin
) -> None:
    """Write what is `held` at each position: ids, and states (layers, rows, d_model) of the dtype
    that `origin` names."""
    width = origin.d_model * BYTES[origin.dtype]
    schema = pa.schema(
        [("id", pa.string()), ("position", pa.string())]
        + [(layer_column(n), pa.binary(width)) for n in range(origin.layers)],
        metadata={KEY: json.dumps(asdict(origin), sort_keys=True)},
    )
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for position, (ids, states) in held.items():
            columns = [pa.array(ids), pa.array([position] * len(ids))]
            for layer in states:
                data = pa.py_buffer(np.ascontiguousarray(layer))
                columns.append(
                    pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(ids), [None, data])
                )
            writer.write_table(
                pa.Table.from_arrays(columns, schema=schema), row_group_size=len(ids)
            )


def read_origin(folder: Path) -> Origin:
    """What the states in `folder` are states of; Refusal if its shards disagree."""
    found = {path: _origin(path) for path in _shards(folder)}
    if len(set(found.values())) > 1:
        raise Refusal(f"{folder}: shards of different models or settings; run `dvc repro` again")
    return next(iter(found.values()))


def read_states(folder: Path, layer: int, position: str) -> States:
    """The states after `layer` at `position`, in the order of the shards; nothing else is read.

    Raises Refusal for a shard that cannot be read, a layer that is not there, a position that has
    no rows, or states that are not finite numbers.
    """
    origin = read_origin(folder)
    if not 0 <= layer < origin.layers:
        raise Refusal(f"{folder}: no layer {layer}; expected 0 to {origin.layers - 1}")
    ids: list[str] = []
    blocks = []
    for path in _shards(folder):
        try:
            table = pq.read_table(
                path, columns=["id", layer_column(layer)], filters=[("position", "=", position)]
            )
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None
        ids += table["id"].to_pylist()
        for chunk in table[layer_column(layer)].chunks:
            blocks.append(_floats(chunk, origin))
    if not ids:
        raise Refusal(f"{folder}: no rows at position {position!r}")
    values = np.concatenate(blocks)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise Refusal(
            f"{folder}: question {ids[row]}, layer {layer}, {position}: expected finite numbers; "
            "the model overflows in this dtype, set another in params.yaml"
        )
    return States(ids, values)


def _shards(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("shard-*.parquet"))
    if not paths:
        raise Refusal(f"{folder}: no activation shards; run `dvc repro` or `dvc pull`")
    return paths


def _origin(path: Path) -> Origin:
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Origin(**json.loads(metadata[KEY]))
    except KeyError:
        raise Refusal(f"{path}: a Parquet file without the metadata key 'activations'") from None
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> Refusal:
    reason = str(error).strip().splitlines()[0]
    return Refusal(
        f"{path}: not a readable activation shard ({reason}); delete it and run `dvc repro` or "
        "`dvc pull`"
    )


def _floats(chunk: pa.FixedSizeBinaryArray, origin: Origin) -> np.ndarray:
    """(rows, d_model) float32 of a column of states."""
    kind = np.dtype(np.uint16 if origin.dtype == "bfloat16" else origin.dtype)
    start = chunk.offset * origin.d_model
    raw = np.frombuffer(chunk.buffers()[1], dtype=kind)[start:][: len(chunk) * origin.d_model]
    raw = raw.reshape(len(chunk), origin.d_model)
    if origin.dtype == "bfloat16":  # the upper half of a float32
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)
