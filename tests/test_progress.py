"""What a person sees while the study runs, in a terminal and without one."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run, run_stage
from test_pipeline import STAGES

from sycophancy_steering.foundation.progress import (
    DEFAULT_SECONDS,
    SECONDS,
    Record,
    closing_line,
    duration,
    expected_seconds,
    pipeline_scripts,
    read_record,
    start_line,
)


def in_terminal(folder: Path, *command: str) -> str:
    """What a command prints in a pseudo-terminal; it has to succeed."""
    controller, terminal = pty.openpty()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=terminal,
        stderr=terminal,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(folder)},
    )
    os.close(terminal)
    printed = b""
    while True:
        try:
            block = os.read(controller, 65536)
        except OSError:  # as Linux says that the other end is closed
            break
        if not block:
            break
        printed += block
    os.close(controller)
    assert process.wait() == 0, printed.decode()
    return printed.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "1 s"),
        (4.4, "4 s"),
        (59.6, "1 min"),
        (110, "1 min 50 s"),
        (599.7, "10 min"),
        (1860, "31 min"),
    ],
)
def test_durations_are_as_exact_as_one_reads_them(seconds, words):
    assert duration(seconds) == words


def test_the_line_of_a_stage_has_what_is_known():
    line = start_line("labels", "Labels all.", 4, 300)
    assert line == "labels: Labels all. About 4 s, then up to about 5 min for the stages after it."
    assert start_line("labels", "Labels all.", None, 0) == "labels: Labels all."
    assert start_line("report", "Writes.", 4, 0) == "report: Writes. About 4 s."
    rest = start_line("new", "Does.", None, 60)
    assert rest == "new: Does. Then up to about 1 min for the stages after it."


def test_a_total_is_of_the_stages_that_one_command_started():
    first = Record().added("prompts", 4, parent=7).added("labels", 6, parent=7)
    again = first.added("labels", 2, parent=7)
    assert (first.total, again.total) == (10, 6)
    other = first.added("report", 3, parent=8)
    assert other.total == 3
    assert other.seconds == {"prompts": 4, "labels": 6, "report": 3}


def test_the_last_line_says_where_to_look(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    assert closing_line(Record()) == "The study is done: see reports."
    (tmp_path / "reports/summary.md").touch()
    record = Record().added("report", 3, parent=1)
    assert closing_line(record) == "The study is done: 1 stage in 3 s; see reports/summary.md."
    (tmp_path / "reports/index.html").touch()
    assert closing_line(record).endswith("see reports/summary.md and reports/index.html.")


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"seconds": {"labels": "x"}, "ran": 3}'])
def test_a_spoilt_record_is_no_error(monkeypatch, tmp_path, text):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        SECONDS.parent.mkdir()
        SECONDS.write_text(text)
    assert read_record() == Record()
    assert expected_seconds() == {}


def test_what_was_measured_here_comes_before_the_default_study(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for path, seconds in ((DEFAULT_SECONDS, {"a": 1, "b": 2}), (SECONDS, {"seconds": {"b": 5}})):
        path.parent.mkdir()
        path.write_text(json.dumps(seconds))
    assert expected_seconds() == {"a": 1, "b": 5}


def test_the_default_study_is_known_stage_by_stage(monkeypatch):
    monkeypatch.chdir(ROOT)
    scripts = pipeline_scripts()
    listed = {stage["cmd"].split()[1] for stage in STAGES.values()}
    assert {f"stages/{name}.py" for name in scripts} <= listed
    assert len(scripts) > 10
    seconds = json.loads(DEFAULT_SECONDS.read_text())
    assert {name.split()[0] for name in seconds} <= {*scripts}
    assert min(seconds.values()) > 0


def test_without_a_terminal_a_stage_prints_plain_lines(study):
    done = run_stage(study, "labels")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "labels: Labels the models' answers as sycophantic or not, by every source of labels."
    )
    assert re.fullmatch(r"labels: done in \d+ s", lines[-1])
    assert "About" not in done.stdout
    assert "labels" in json.loads((study / SECONDS).read_text())["seconds"]


def test_in_a_terminal_a_stage_says_how_long_it_will_take(study):
    (study / SECONDS).parent.mkdir(exist_ok=True)
    seconds = {"labels": 130, "vectors": 60, "report": 30, "prompts": 1000}
    (study / SECONDS).write_text(json.dumps({"seconds": seconds}))
    (study / DEFAULT_SECONDS).write_text("{}")
    first = in_terminal(study, "python", "stages/labels.py").splitlines()[0]
    assert first.endswith(
        "labels. About 2 min 10 s, then up to about 1 min 30 s for the stages after it."
    )


def test_a_stage_that_fails_is_not_done(study):
    (study / "data/prompts/held_out.parquet").unlink()
    done = run_stage(study, "labels")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("labels: ")
    assert "done" not in done.stdout
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_dvc_repro_ends_with_the_total_and_its_outputs_do_not_change(study, monkeypatch, shell):
    monkeypatch.setenv("SHELL", shell)  # dash waits for its last command, bash gives way to it
    lock = (study / "dvc.lock").read_bytes()
    printed = in_terminal(
        study, "dvc", "repro", "--force", "--single-item", "intervention_tables", "report"
    )
    assert re.search(r"^intervention_tables: done in \d+ s$", printed, re.MULTILINE)
    last = "The study is done: 2 stages in .* s; see reports/summary.md and reports/index.html."
    assert re.search(f"^{last}$", printed, re.MULTILINE)
    assert (study / "dvc.lock").read_bytes() == lock
    assert run(study, "git", "status", "--porcelain").stdout == ""
    quiet = run(study, "dvc", "repro", "--force", "--single-item", "report").stdout
    assert "report: Writes the summary" in quiet and "About" not in quiet
    assert re.search(r"^The study is done: ", quiet, re.MULTILINE)


def test_commands_that_are_no_stage_say_nothing(study):
    vectors = "vectors/extracted/tiny/pairs"
    done = run_stage(study, "compare", vectors, vectors)
    assert done.returncode == 0, done.stderr
    assert "done in" not in done.stdout
