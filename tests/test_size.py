"""What keeps the code readable: short modules, short functions, few parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

FILES = sorted([*(ROOT / "sycophancy_steering").rglob("*.py"), *(ROOT / "stages").glob("*.py")])
MODULE_LINES, FUNCTION_LINES, PARAMETERS = 300, 60, 6


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= MODULE_LINES
    for function in functions(path):
        words = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        own = [word for word in words if word.arg not in ("self", "cls")]
        # A stage's `main` has as many as its command line.
        assert len(own) <= PARAMETERS or function.name == "main", function.name
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= FUNCTION_LINES, function.name
