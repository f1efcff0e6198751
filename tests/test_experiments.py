"""Experiments of DVC's queue: they share one store, and their table fits a screen."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, git, run

WIDTH = 120


@pytest.fixture
def linked(study: Path) -> Path:
    """A study whose files are links into DVC's cache, which experiments could break."""
    settings = ("config", "--local", "cache.type", "hardlink,symlink")
    assert run(study, "dvc", *settings).returncode == 0
    return study


def test_experiments_at_once_lose_nothing_and_end_with_the_bytes_of_a_run_alone(linked, tmp_path):
    script = tmp_path / "benchmarks/experiments.py"
    script.parent.mkdir()
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    text = (ROOT / "benchmarks/experiments.py").read_text()
    assert "LENGTHS = (4, 5, 6, 7)" in text
    script.write_text(text.replace("LENGTHS = (4, 5, 6, 7)", "LENGTHS = (5,)"))
    (tmp_path / "work").mkdir()
    done = run(
        tmp_path, "python", str(script), "--experiments", "3", "--jobs", "2", "--alone", "1",
        "--study", str(linked), "--work", str(tmp_path / "work"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(script.with_suffix(".json").read_text())
    kept = json.loads((ROOT / "benchmarks/experiments.json").read_text())
    assert result.keys() == kept.keys()
    assert (result["lost"], result["different"], result["corrupted"]) == (0, 0, 0)
    folder = tmp_path / "work/study"
    names = run(folder, "dvc", "exp", "list", "--name-only").stdout.split()
    logs = [run(folder, "dvc", "queue", "logs", name).stdout for name in names]
    assert sum("28 run in" in log for log in logs) == 1  # the others took what it had run
    assert run(folder, "dvc", "queue", "status").stdout.count("Success") == 3
    for command in (
        f"dvc metrics diff main {names[0]}",
        f"dvc exp branch {names[0]} chosen",
        "git switch chosen",
        "dvc checkout dvc.yaml",
        "dvc repro predictivity",
    ):
        done = run(folder, *command.split())
        assert done.returncode == 0, done.stderr
    assert "didn't change" in done.stdout and "Running" not in done.stdout
    assert "max_new_tokens: 5" in (folder / "params.yaml").read_text()


def test_the_table_of_experiments_fits_a_screen(study):
    shutil.copy(ROOT / "Makefile", study)
    (study / ".venv").mkdir()
    (study / ".venv/installed").touch()
    (study / "pyproject.toml").touch()
    git(study, "add", "--all")
    git(study, "commit", "--quiet", "--message=make")
    values = "selection.n_permutations=98,99"
    done = run(study, "dvc", "exp", "run", "--queue", "-S", values, "analysis")
    assert done.returncode == 0, done.stderr
    table = subprocess.run(
        ["env", f"COLUMNS={WIDTH}", "make", "--silent", "experiments"],
        cwd=study, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (header,) = (line.split() for line in table.splitlines() if "Experiment" in line)
    shown = ["tiny.auroc", "tiny.best_auroc", "selection.n_permutations"]
    assert header == ["Experiment", "State", *shown]
    assert table.count("Queued") == 2
    assert max(map(len, table.splitlines())) <= WIDTH


def test_an_experiment_runs_its_own_code_and_keeps_results_in_the_store_of_the_workspace(tmp_path):
    """The package on the path is that of the workspace, as after an editable installation."""
    for name in ("sycophancy_steering", ".dvc/tmp/exps/tmp1/sycophancy_steering"):
        shutil.copytree(ROOT / "sycophancy_steering", tmp_path / name)
    folder = tmp_path / ".dvc/tmp/exps/tmp1"
    (folder / "sycophancy_steering/schemas/paths.py").open("a").write("\nprint('its own')\n")
    code = "from sycophancy_steering.schemas.paths import CACHE; print(CACHE)"
    for here, printed in (
        (folder, ["its own", str(tmp_path.resolve() / ".work")]),
        (tmp_path, [".work"]),
    ):
        done = subprocess.run(
            ["env", f"PYTHONPATH={tmp_path}", "python", "-P", "-c", code],
            cwd=here, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split("\n")[:-1] == printed
