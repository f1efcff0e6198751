"""What people do with the cache: clone, pull, change a variant, compare."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import git, run


@pytest.fixture
def clone(study: Path, tmp_path: Path) -> Path:
    """A fresh clone of a study whose cache was pushed to a folder."""
    assert run(study, "dvc", "remote", "add", "--default", "--quiet", "box", str(tmp_path / "box"))
    assert run(study, "dvc", "push", "--quiet").returncode == 0
    git(study, "commit", "--quiet", "--all", "--message=remote")
    git(tmp_path, "clone", "--quiet", str(study), "clone")
    return tmp_path / "clone"


def ran(output: str) -> set[str]:
    """The stages that `dvc repro` ran."""
    lines = [line for line in output.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1] for line in lines}


def test_after_a_pull_nothing_runs(clone):
    assert run(clone, "dvc", "pull", "--quiet", "dvc.yaml").returncode == 0
    done = run(clone, "dvc", "repro")
    assert done.returncode == 0, done.stderr
    assert ran(done.stdout) == set()


def test_another_variant_needs_no_pass_of_the_model_and_shows_in_the_metrics(clone):
    git(clone, "switch", "--quiet", "--create", "my-branch")
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("[mean_difference, random]", "[pca, random]"))
    params.write_text(params.read_text().replace("pairs/mean_difference", "pairs/pca"))
    params.write_text(params.read_text().replace("methods: [mean_difference]", "methods: [pca]"))
    done = run(clone, "dvc", "repro", "--pull", "--allow-missing")
    assert done.returncode == 0, done.stderr
    assert ran(done.stdout) == {
        "labels",  # the suite's headline changed; the labels are the same
        "vectors",
        "predictivity",
        "analysis",
        "power",  # the headline's class separation is a unit of its sizes
        "interventions",
        "intervention_tables",
        "figures",
        "report",
    }
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message=pca")
    shown = run(clone, "dvc", "metrics", "diff", "main", "my-branch", "--md").stdout
    assert "reports/metrics/tiny.json" in shown
    assert "misconception_best" in shown
    table = run(clone, "dvc", "metrics", "show", "--md").stdout
    assert "misconception_auroc" in table.splitlines()[0]


def test_on_another_machine_only_new_questions_are_run(clone):
    """The cache was pulled, .work is empty, and three questions are new."""
    assert run(clone, "dvc", "pull", "--quiet", "dvc.yaml").returncode == 0
    params = clone / "params.yaml"
    text = params.read_text()
    assert not (clone / ".work").exists()
    params.write_text(
        text.replace(
            "organism_opinions: 16, organism_misconceptions",
            "organism_opinions: 19, organism_misconceptions",
        )
    )
    done = run(clone, "dvc", "repro", "activations")
    assert done.returncode == 0, done.stderr
    assert "tiny on pairs: 12 questions, 0 answered; none run, all 12 taken" in done.stdout
    assert "31 questions" in done.stdout
    assert "3 run in 1 batches" in done.stdout and "28 taken from .work" in done.stdout


def test_on_another_machine_interventions_that_were_pulled_are_not_run_again(clone):
    """The stage runs for all models; those that have not changed must cost nothing."""
    assert run(clone, "dvc", "pull", "--quiet", "dvc.yaml").returncode == 0
    before = (clone / "dvc.lock").read_bytes()
    done = run(clone, "dvc", "repro", "--force", "--single-item", "interventions")
    assert done.returncode == 0, done.stderr
    assert "steering: taken from a cache" in done.stdout
    assert "prompting: taken from a cache" in done.stdout
    assert (clone / "dvc.lock").read_bytes() == before
