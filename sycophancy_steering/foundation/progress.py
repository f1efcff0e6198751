"""Says what a stage does, how long it takes, and where to look in the end.

    python -m sycophancy_steering.foundation.progress

A stage says it when it starts and when it is done: with estimates in a terminal, as two plain lines
elsewhere. DVC starts each stage as a process of its own, so the seconds of earlier ones are in
.work/seconds.json; a stage that never ran here is expected to take as long as in the default study
(stages/seconds.json, which benchmarks/study.py measures). The command says where to look.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sycophancy_steering.foundation.atomic_files import write_json

PIPELINE = Path("dvc.yaml")
SECONDS = Path(".work/seconds.json")
DEFAULT_SECONDS = Path("stages/seconds.json")
RESULTS = (Path("reports/summary.md"), Path("reports/index.html"))
"""Where to look, once the study is done."""


@dataclass
class Record:
    """How long stages took, and which of them the present `dvc repro` has run."""

    parent: int = 0
    """The process of that run."""
    ran: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def added(self, stage: str, seconds: float, parent: int) -> Record:
        """The record after a stage that the process `parent` started has taken so many seconds."""
        ran = self.ran if parent == self.parent else []
        return Record(parent, [*dict.fromkeys([*ran, stage])], self.seconds | {stage: seconds})

    @property
    def total(self) -> float:
        """Seconds of all stages that the run has run."""
        return sum(self.seconds[stage] for stage in self.ran)


@contextmanager
def reported(words: Sequence[str], description: str | None) -> Iterator[None]:
    """Says what the stage `words` (its name and arguments) does before the block, and that it is
    done after it. Says nothing after an error, nor of commands that are no stage of dvc.yaml."""
    scripts = pipeline_scripts()
    if words[0] not in scripts:
        yield
        return
    stage, in_terminal = " ".join(words), sys.stdout.isatty()
    expected = expected_seconds()
    later = scripts[scripts.index(words[0]) + 1 :]
    rest = sum(value for name, value in expected.items() if name.split()[0] in later)
    first_line = (description or "").strip().partition("\n")[0]
    if in_terminal:
        print(start_line(stage, first_line, expected.get(stage), rest), flush=True)
    else:
        print(f"{stage}: {first_line}", flush=True)
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    record = read_record().added(stage, round(seconds, 1), starting_process())
    _keep(record)
    print(f"{stage}: done in {duration(seconds)}", flush=True)
    if not later and "DVC_STAGE" in os.environ:
        print(closing_line(record), flush=True)


def start_line(stage: str, description: str, expected: float | None, rest: float) -> str:
    """`labels: Labels all answers. About 4 s, then up to about 5 min for the stages after it.`"""
    parts = [] if expected is None else [f"about {duration(expected)}"]
    parts += [f"then up to about {duration(rest)} for the stages after it"] if rest else []
    estimate = ", ".join(parts)
    return (
        f"{stage}: {description} {estimate[:1].upper()}{estimate[1:]}{'.' if parts else ''}".strip()
    )


def closing_line(record: Record) -> str:
    """What the study took, and where to look."""
    shown = " and ".join(str(path) for path in RESULTS if path.exists()) or "reports"
    n_stages = len(record.ran)
    if not n_stages:
        return f"The study is done: see {shown}."
    stages = "1 stage" if n_stages == 1 else f"{n_stages} stages"
    return f"The study is done: {stages} in {duration(record.total)}; see {shown}."


def duration(seconds: float) -> str:
    """`4 s`, `1 min 50 s`, `31 min`; never `0 s`."""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    if minutes >= 10:
        return f"{round(whole / 60)} min"
    return " ".join([*([f"{minutes} min"] if minutes else []), *([f"{rest} s"] if rest else [])])


def starting_process() -> int:
    """The id of the process that started this one, not counting the shell between them.

    DVC runs a command in a shell (that of $SHELL, else /bin/sh). Some shells give way to their last
    command, others wait for it.
    """
    import psutil

    for process in psutil.Process().parents():
        if not process.name().endswith("sh"):
            return process.pid
    return os.getppid()


def pipeline_scripts() -> list[str]:
    """The names of the stages' scripts in the order of dvc.yaml; none without that file."""
    try:
        text = PIPELINE.read_text(encoding="utf-8")
    except OSError:
        return []
    return [*dict.fromkeys(re.findall(r"^    cmd: python stages/(\w+)\.py", text, re.MULTILINE))]


def expected_seconds() -> dict[str, float]:
    """By stage, how long it took the last time here, else in the default study."""
    return _numbers(_read(DEFAULT_SECONDS)) | read_record().seconds


def read_record() -> Record:
    """What .work/seconds.json says; an empty record where it is missing or says something else."""
    values = _read(SECONDS)
    seconds = _numbers(values.get("seconds", {}))
    ran, parent = values.get("ran"), values.get("parent")
    if not isinstance(ran, list) or not isinstance(parent, int):
        return Record(seconds=seconds)
    return Record(parent, [name for name in ran if name in seconds], seconds)


def _read(path: Path) -> dict[str, object]:
    """A JSON object; an estimate is not worth an error, so an empty one where it is unreadable."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _numbers(values: object) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {
        str(key): float(value) for key, value in values.items() if isinstance(value, int | float)
    }


def _keep(record: Record) -> None:
    try:
        write_json(SECONDS, asdict(record))
    except OSError as error:  # a full disk must not fail a stage that has written all it had to
        print(f"{SECONDS}: not written ({error.strerror})", file=sys.stderr)


if __name__ == "__main__":
    print(closing_line(Record()))
