"""What was computed before is not computed again: files in `.work`, named by what they hold.

DVC reruns a whole stage; this spares the parts of it whose inputs are as they were. Git and DVC
ignore the folder, every file in it can be made anew, and `make clean-work` deletes it.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

CACHE = Path(".work")
PACKAGE = Path(__file__).parent.parent
DISTRIBUTIONS = {"sklearn": "scikit-learn", "ruamel": "ruamel.yaml"}
"""Libraries whose distribution has another name than the module."""


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


def code_and_libraries(*modules: str) -> list[str | Path]:
    """Everything that decides how something is computed, as parts of a `digest`: the given modules
    of this package (`"FOLDER.MODULE"`), all modules that these import, and the versions of the
    third-party libraries that any of them imports."""
    sources: set[Path] = set()
    libraries: set[str] = set()
    waiting = [f"{PACKAGE.name}.{module}" for module in modules]
    while waiting:
        path = _source(waiting.pop())
        if path in sources:
            continue
        sources.add(path)
        for name in _imports(path):
            top = name.partition(".")[0]
            if top == PACKAGE.name:
                waiting.append(name)
            elif top not in sys.stdlib_module_names:
                libraries.add(DISTRIBUTIONS.get(top, top))
    return [*(f"{name} {version(name)}" for name in sorted(libraries)), *sorted(sources)]


def _source(module: str) -> Path:
    """The file of a module of this package, or of a package in it."""
    path = PACKAGE.parent / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def cache_path(kind: str, digest: str, suffix: str = ".parquet") -> Path:
    """Where the thing called `key` is, or will be."""
    return CACHE / kind / f"{digest}{suffix}"
