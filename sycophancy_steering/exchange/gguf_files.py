"""GGUF control vectors, as llama.cpp and repeng read and write them.

`general.architecture` is `controlvector`; tensors `direction.N` (d_model,). N is the decoder block
counted from 0 whose output the vector is added to, and is never 0: llama.cpp stores `direction.N`
at `n_embd * (N - 1)` (`common_control_vector_load_one`) and block `il` takes what is at
`n_embd * (il - 1)` (`llama_adapter_cvec::apply`); repeng reads direction N at
`hidden_states[N + 1]`. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

Read here and not by the package `gguf`, which checks no length: a damaged count keeps it busy for
ever. Written by that package.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sycophancy_steering.exchange.file_content import FileContent, read_bytes
from sycophancy_steering.foundation.errors import InputError

MAGIC = b"GGUF"
ARCHITECTURE = "controlvector"
PREFIX = "direction."
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""struct's letters of the types of metadata values."""
STRING, ARRAY = 8, 9
TENSOR_TYPES: dict[int, tuple[str, str]] = {0: ("<f4", "float32"), 1: ("<f2", "float16")}
"""By the number of a tensor's type: numpy's type and its name."""
MAX_COUNT = 100_000
"""Of keys, and of tensors."""


class _Damaged(Exception):
    """The file does not hold what its counts say."""


@dataclass
class _Cursor:
    """Reads one thing after the other; never past the end."""

    data: bytes
    place: int = 4

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.place:
            raise _Damaged
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self, letter: str) -> Any:
        return struct.unpack(f"<{letter}", self.take(struct.calcsize(f"<{letter}")))[0]

    def string(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A metadata value; of an array only that it was passed over."""
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            raise _Damaged
        of, count = self.number("I"), self.number("Q")
        if of in SCALARS:
            self.take(count * struct.calcsize(SCALARS[of]))
        elif of == STRING:  # each takes eight bytes at least, so a false count ends soon
            for _ in range(count):
                self.string()
        else:
            raise _Damaged
        return None


def read_gguf(path: Path) -> FileContent:
    """The directions of a control vector. Raises InputError for another or a damaged file."""
    data = read_bytes(path)
    try:
        metadata, tensors = _parsed(data)
    except (_Damaged, struct.error):
        raise InputError(f"{path}: a truncated or damaged GGUF file; fetch it again") from None
    architecture = metadata.get("general.architecture")
    if architecture != ARCHITECTURE:
        raise InputError(
            f"{path}: a GGUF file of the architecture {str(architecture)[:40]!r}; expected a "
            f"{ARCHITECTURE}, which holds vectors and no weights"
        )
    directions = {name: one for name, one in tensors.items() if name.startswith(PREFIX)}
    arrays: dict[str, np.ndarray] = {}
    kinds = set()
    for name, (shape, kind, start) in directions.items():
        if kind not in TENSOR_TYPES or len(shape) != 1:
            raise InputError(
                f"{path}: {name[:40]}: expected (d_model,) numbers of float32 or float16, as "
                f"llama.cpp reads, found shape {shape} and type {kind}"
            )
        letter, stored_as = TENSOR_TYPES[kind]
        size = shape[0] * np.dtype(letter).itemsize
        if start + size > len(data):
            raise InputError(f"{path}: {name[:40]}: the file ends before its numbers do")
        arrays[name] = np.frombuffer(data, letter, shape[0], start).astype(np.float32)
        kinds.add(stored_as)
    hint = metadata.get("controlvector.model_hint")
    return FileContent(
        "GGUF control vector",
        arrays,
        " and ".join(sorted(kinds)),
        numbering="blocks_from_0",
        facts={"model_hint": hint} if isinstance(hint, str) and hint else {},
        not_read=tuple(sorted(tensors.keys() - directions.keys())),
    )


def _parsed(data: bytes) -> tuple[dict[str, Any], dict[str, tuple[tuple[int, ...], int, int]]]:
    """Metadata, and for each tensor its shape, type and the place of its numbers."""
    cursor = _Cursor(data)
    version, n_tensors, n_keys = (cursor.number(letter) for letter in "IQQ")
    if version not in (2, 3) or n_tensors > MAX_COUNT or n_keys > MAX_COUNT:
        raise _Damaged
    metadata = {}
    for _ in range(n_keys):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.number("I"))
    infos = []
    for _ in range(n_tensors):
        name, n_dimensions = cursor.string(), cursor.number("I")
        if n_dimensions > 4:
            raise _Damaged
        shape = tuple(cursor.number("Q") for _ in range(n_dimensions))
        infos.append((name, shape, cursor.number("I"), cursor.number("Q")))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 2**16:
        raise _Damaged
    start = -(-cursor.place // alignment) * alignment
    tensors = {name: (shape, kind, start + offset) for name, shape, kind, offset in infos}
    if len(tensors) < len(infos):
        raise _Damaged
    return metadata, tensors


def write_gguf(path: Path, vectors: Mapping[int, np.ndarray], model_hint: str) -> None:
    """Writes float32 `vectors` (d_model,) by layer from 1 on, the same bytes each time.

    `model_hint` is the model's type, which repeng asks for.
    """
    from gguf import GGUFWriter

    assert min(vectors) > 0, "a control vector has no place for layer 0"
    writer = GGUFWriter(path, ARCHITECTURE)
    writer.add_string(f"{ARCHITECTURE}.model_hint", model_hint)
    writer.add_uint32(f"{ARCHITECTURE}.layer_count", max(vectors))
    for layer, vector in sorted(vectors.items()):
        writer.add_tensor(f"{PREFIX}{layer}", np.ascontiguousarray(vector, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
