"""Safetensors with any names, those of this project among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from sycophancy_steering.exchange.file_content import FileContent, read_bytes
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.vectors import METADATA_KEY

TYPES = {
    "F64": ("<f8", "float64"),
    "F32": ("<f4", "float32"),
    "F16": ("<f2", "float16"),
    "BF16": ("<u2", "bfloat16"),
}
"""By the format's name of a type: numpy's, and the name in full."""


def read_safetensors(path: Path) -> FileContent:
    """All tensors. Raises InputError for other than floating-point numbers, or a damaged file."""
    data = read_bytes(path)
    try:
        entries = deserialize(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(f"{path}: not readable as safetensors ({reason})") from None
    tensors: dict[str, np.ndarray] = {}
    kinds = set()
    for name, about in entries:
        if about["dtype"] not in TYPES:
            raise InputError(
                f"{path}: {name[:40]}: expected floating-point numbers, found {about['dtype']}"
            )
        letter, kind = TYPES[about["dtype"]]
        values = np.frombuffer(about["data"], letter).reshape(about["shape"])
        if kind == "bfloat16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = values.astype(np.float64 if kind == "float64" else np.float32)
        kinds.add(kind)
    own = _own_metadata(header)
    return FileContent(
        "safetensors",
        dict(sorted(tensors.items())),
        " and ".join(sorted(kinds)),
        numbering="blocks_from_0" if own is not None else None,
        facts={key: str(own[key]) for key in ("model", "revision") if own and own.get(key)},
        metadata=own or {},
    )


def _own_metadata(header: dict[str, Any]) -> dict[str, Any] | None:
    """How a file of this project says that it was made; None for a file from elsewhere."""
    try:
        own = json.loads(header["__metadata__"][METADATA_KEY])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return own if isinstance(own, dict) else None
