"""What the readers of all formats return, and the bounds that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sycophancy_steering.config.foreign_vectors import Numbering
from sycophancy_steering.foundation.errors import InputError

MAX_BYTES = 2**30
"""Of a file, and of what it unpacks to: vectors of all layers of a 70B model take 3 MB."""
SINGLE = ""
"""The name of the tensor in a file that names none."""


@dataclass(frozen=True)
class FileContent:
    """The tensors of a file, and what its format says of them."""

    format: str
    """In words: `PyTorch`, `GGUF control vector`."""
    tensors: Mapping[str, np.ndarray]
    """Numbers as stored, of float32 or float64, by name, or by the key of a dictionary."""
    stored_as: str
    """The type of the numbers in the file: float16."""
    numbering: Numbering | None = None
    """How the format counts layers, where it says so."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else the file says: `model`, `revision`, `site`, `position`."""
    not_read: tuple[str, ...] = ()
    """Entries that hold no vector."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """How a file of this project says that its vectors were made."""


def read_bytes(path: Path) -> bytes:
    """The content of a file of at most `MAX_BYTES`. Raises InputError."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(
                f"{path}: {size} bytes; expected vectors, which take at most {MAX_BYTES}"
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror})") from None
