"""What was computed before is not computed again: files in `.work`, named by what they hold.

DVC reruns a whole stage; this spares the parts of it whose inputs are as they were. Git and DVC
ignore the folder, every file in it can be made anew, and `make clean-work` deletes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

WORK = Path(".work")


def digest(parts: Iterable[str | Path]) -> str:
    """Of texts, files and folders (all files in them, in the order of their names)."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            found.update(part.encode() + b"\0")
            continue
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if path.is_file():
                with open(path, "rb") as file:
                    found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def code(*modules: ModuleType) -> list[str | Path]:
    """Parts that stand for how something is computed: our modules, and the libraries below them."""
    libraries = [f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn")]
    return [*libraries, *(Path(str(module.__file__)) for module in modules)]


def place(kind: str, key: str, suffix: str = ".parquet") -> Path:
    """Where the thing called `key` is, or will be."""
    return WORK / kind / f"{key}{suffix}"
