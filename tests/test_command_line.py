"""A stage's `main` becomes a command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sycophancy_steering.foundation.command_line import ALLOCATORS, command
from sycophancy_steering.foundation.errors import InputError


def run(monkeypatch, main, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["stage.py", *arguments])
    main()


@pytest.fixture
def calls() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def stage(calls):
    @command("Extracts.", model="an entry of model", prompt_set="one set; otherwise all")
    def main(model: str, prompt_set: str = "") -> None:
        calls.append((model, prompt_set))

    return main


def test_main_gets_the_arguments_and_its_own_defaults(monkeypatch, stage, calls):
    run(monkeypatch, stage, "tiny")
    run(monkeypatch, stage, "tiny", "held_out")
    assert calls == [("tiny", ""), ("tiny", "held_out")]


@pytest.mark.parametrize("arguments", [[], ["tiny", "held_out", "more"], ["--modle", "tiny"]])
def test_wrong_arguments_exit_with_2_before_main_runs(monkeypatch, capsys, stage, calls, arguments):
    with pytest.raises(SystemExit) as exit_status:
        run(monkeypatch, stage, *arguments)
    assert exit_status.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ")
    assert calls == []


def test_help_has_the_description_and_every_argument(monkeypatch, capsys, stage):
    with pytest.raises(SystemExit):
        run(monkeypatch, stage, "--help")
    printed = capsys.readouterr().out
    for text in ("Extracts.", "an entry of model", "one set; otherwise all"):
        assert text in printed


def test_an_input_error_is_one_line_and_exit_status_1(monkeypatch, capsys):
    @command(None)
    def main() -> None:
        raise InputError("params.yaml: model:\n  expected a name")

    with pytest.raises(SystemExit) as exit_status:
        run(monkeypatch, main)
    assert exit_status.value.code == 1
    assert capsys.readouterr().err == "error: params.yaml: model: expected a name\n"


def test_any_other_error_keeps_its_traceback(monkeypatch):
    @command(None)
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, main)


def test_allocators_are_chosen_unless_the_user_chose_one():
    code = """
import os, sycophancy_steering.foundation.command_line
import pyarrow
print(os.environ["_RJEM_MALLOC_CONF"], pyarrow.default_memory_pool().backend_name)
"""
    chosen = {**os.environ, "_RJEM_MALLOC_CONF": "dirty_decay_ms:7"}
    chosen.pop("ARROW_DEFAULT_MEMORY_POOL", None)
    done = subprocess.run([sys.executable, "-c", code], env=chosen, capture_output=True, text=True)
    assert done.stdout.split() == ["dirty_decay_ms:7", ALLOCATORS["ARROW_DEFAULT_MEMORY_POOL"]]
