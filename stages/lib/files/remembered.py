"""What was computed before is not computed again: files in `.work`, named by what they hold.

DVC reruns a whole stage; this spares the parts of it whose inputs are as they were. Git and DVC
ignore the folder, every file in it can be made anew, and `make clean-work` deletes it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

WORK = Path(".work")
LIB = Path(__file__).parent.parent
LIBRARIES = "numpy", "scipy", "scikit-learn", "torch", "transformers"


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


def code(*modules: str) -> list[str | Path]:
    """Parts that stand for how something is computed: these modules of `lib` (`ROOM.MODULE`), all
    that they import, and the libraries below them."""
    found: set[Path] = set()
    waiting = [*modules]
    while waiting:
        path = LIB / f"{waiting.pop().replace('.', '/')}.py"
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    return [*(f"{name} {version(name)}" for name in LIBRARIES), *sorted(found)]


def _imported(path: Path) -> list[str]:
    """The modules of `lib` that a file takes something from."""
    nodes = ast.walk(ast.parse(path.read_text()))
    names = (node.module or "" for node in nodes if isinstance(node, ast.ImportFrom))
    return [name.removeprefix("lib.") for name in names if name.startswith("lib.")]


def place(kind: str, key: str, suffix: str = ".parquet") -> Path:
    """Where the thing called `key` is, or will be."""
    return WORK / kind / f"{key}{suffix}"
