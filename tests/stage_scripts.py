"""Stage scripts as modules, for tests that call a function of theirs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

STAGES = Path(__file__).parent.parent / "stages"


def stage(name: str) -> ModuleType:
    """The module of `stages/NAME.py`, which is a script and not in any package."""
    spec = importlib.util.spec_from_file_location(f"stages.{name}", STAGES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
