"""Downloaded weights, stored once for all clones on a machine, by the hash of their content.

A path in this cache differs between machines, so that pointers hold the hash alone.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cached_weights(sha256: str) -> Path:
    """Where the GGUF file of that hash is, or would be."""
    return _cache_folder() / f"{sha256}.gguf"


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # Relative paths are to be ignored, says the XDG specification.
    return (base if base.is_absolute() else Path.home() / ".cache") / "sycophancy-steering"
