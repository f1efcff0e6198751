"""Results that need not be computed again: files in `.work`, named by a digest of their inputs.

DVC reruns a whole stage; this reuses the parts of it whose inputs, code and libraries have not
changed. Git and DVC ignore the folder, every file in it can be made again, and `make clean-work`
deletes it.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from sycophancy_steering.schemas.paths import CACHE

PACKAGE = Path(__file__).parent.parent
DISTRIBUTIONS = {
    "concept_erasure": "concept-erasure",
    "sklearn": "scikit-learn",
    "ruamel": "ruamel.yaml",
    "yaml": "PyYAML",
}
"""Distributions that are named otherwise than their module."""


def digest(parts: Iterable[str | Path]) -> str:
    """SHA-256 of texts, files and folders (all their files, in the order of their names)."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(part.encode() + b"\0")
            continue
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if path.is_file():
                with open(path, "rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def code_and_libraries(*modules: str, ignored: Collection[str] = ()) -> list[str | Path]:
    """All code that a computation depends on, as parts of a `digest`.

    `modules` of this package (`"FOLDER.MODULE"`) with everything they import: the source files of
    this package, and the names and versions of third-party libraries. `ignored` are folders that
    do not affect the result, such as those that read settings.
    """
    sources, libraries = import_closure(*modules, ignored=ignored)
    return [*(f"{name} {version(name)}" for name in sorted(libraries)), *sorted(sources)]


def import_closure(*modules: str, ignored: Collection[str] = ()) -> tuple[set[Path], set[str]]:
    """The package's source files that `modules` import, directly or not, and the distributions.

    Imports inside functions count; those for type checkers count too. Folders in `ignored` are left
    out, with all that only they import.
    """
    sources: set[Path] = set()
    libraries: set[str] = set()
    pending = [f"{PACKAGE.name}.{module}" for module in modules]
    while pending:
        path = _source_file(pending.pop())
        if path in sources or path.relative_to(PACKAGE).parts[0] in ignored:
            continue
        sources.add(path)
        for name in _imported_modules(path):
            top = name.partition(".")[0]
            if top == PACKAGE.name:
                pending.append(name)
            elif top not in sys.stdlib_module_names:
                libraries.add(DISTRIBUTIONS.get(top, top))
    return sources, libraries


def _source_file(module: str) -> Path:
    """The file of a module or folder of this package."""
    path = PACKAGE.parent / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported_modules(path: Path) -> Iterator[str]:
    """The modules that a file imports; of `from FOLDER import MODULE`, the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            own = node.module.partition(".")[0] == PACKAGE.name
            submodules = [name for name in modules if own and _source_file(name).exists()]
            yield from submodules or [node.module]


def cache_path(kind: str, digest: str, suffix: str = ".parquet") -> Path:
    """Where the result of that digest is, or will be."""
    return CACHE / kind / f"{digest}{suffix}"
