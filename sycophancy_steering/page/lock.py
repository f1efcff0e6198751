"""What dvc.lock records: which stage wrote a file, from which data, parameters and code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

PAGE = "report"
"""The stage that writes the page."""
CODE = ("stages/", "sycophancy_steering")


@dataclass(frozen=True)
class Output:
    """A file or folder that a stage wrote."""

    path: str
    stage: str
    md5: str
    size: int


@dataclass(frozen=True)
class StageRecord:
    """One stage that the page rests on, as it last ran."""

    name: str
    command: str
    outputs: Sequence[Output]
    code: Mapping[str, str]
    """Hashes by file or folder."""
    params: Mapping[str, Any]


def read_records(
    lock: Path = Path("dvc.lock"), pipeline: Path = Path("dvc.yaml")
) -> list[StageRecord]:
    """The stages before the page in the order of the lock; none where DVC has run nothing."""
    if not lock.exists() or not pipeline.exists():
        return []
    yaml = YAML(typ="safe")
    stages: dict[str, dict[str, Any]] = yaml.load(lock.read_text(encoding="utf-8"))["stages"]
    inputs = yaml.load(pipeline.read_text(encoding="utf-8"))["stages"].get(PAGE, {}).get("deps", [])
    needed = _before(stages, inputs)
    return [_record(name, stage) for name, stage in stages.items() if name in needed]


def output_of(path: str, records: Iterable[StageRecord]) -> Output | None:
    """The output that a file is, or is part of."""
    outputs = [output for record in records for output in record.outputs]
    return next((output for output in outputs if _within(path, output.path)), None)


def _before(stages: Mapping[str, Mapping[str, Any]], inputs: Sequence[str]) -> set[str]:
    """The stages whose outputs the inputs come from, and all before them."""
    needed: set[str] = set()
    waiting = [*inputs]
    while waiting:
        path = waiting.pop()
        for name, stage in stages.items():
            if name == PAGE or name in needed:
                continue
            outs = [out["path"] for out in stage.get("outs", [])]
            if any(_within(path, out) or _within(out, path) for out in outs):
                needed.add(name)
                waiting += [dep["path"] for dep in stage.get("deps", [])]
    return needed


def _within(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(PurePosixPath(folder))


def _record(name: str, stage: Mapping[str, Any]) -> StageRecord:
    outputs = [
        Output(out["path"], name, out.get("md5", ""), out.get("size", 0))
        for out in stage.get("outs", [])
    ]
    code = {
        dep["path"]: dep.get("md5", "")
        for dep in stage.get("deps", [])
        if dep["path"].startswith(CODE)
    }
    return StageRecord(name, stage["cmd"], outputs, code, stage.get("params", {}))
