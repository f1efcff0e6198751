"""A whole study in small, run once by its own stages, for tests to look at or to break."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from tiny_models import byte_tokenizer, tiny
from xdist.scheduler import LoadScopeScheduling

from sycophancy_steering.storage.cell_files import LEAST_ITEMS

# Every core has tests of its own: threads that wait for one another would only spin.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["SYCOPHANCY_JOBS"] = "1"  # starting processes takes longer than these small studies

ROOT = Path(__file__).parent.parent
SHARED_DATA = Path(
    os.environ.get("SYCOPHANCY_PUBLIC_DATA", ROOT.resolve().parent / "shared" / "data")
)
"""Public files on this machine, which some tests use and which are never committed."""
needs_public_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(),
    reason=f"no public data in {SHARED_DATA} (see SYCOPHANCY_PUBLIC_DATA)",
)
PARAMS = """
organisms: []
organism: {}
checkpoint: {}
checkpoints: []
models: {tiny: small}
variants: [{method: [mean_difference, random], position: answer}]
controls: []
foreign_vectors: {}
cross_model: []
judge: {}
prompt_sets: {small: [pairs, held_out]}
suite:
  small:
    extraction_sets: [pairs]
    evaluation_set: held_out
    label_source: logprob
    headline: pairs/mean_difference
    intervention_vectors: [pairs/mean_difference]
    coefficient_unit: class_separation
    facts: letters
split: {extract: 0.4, select: 0.3, test: 0.3, seed: 0}
source: {survey: {format: anthropic, file: data/public/survey.jsonl}}
prompt_set:
  pairs: {sources: {organism_opinions: 12}, splits: [extract]}
  held_out: {sources: {organism_opinions: 16, organism_misconceptions: 12}, splits: [select, test]}
  public: {sources: {survey: 5}, splits: [extract, select, test]}
model:
  tiny: {dtype: float32, device: cpu}
activations: {max_new_tokens: 4, stop_at: answer, continuation_tokens: [1, 2]}
scoring: {memory_mb: 64}
selection: {n_shuffles: 20, n_permutations: 99}
sample_efficiency: {n_pairs: [2, 4], n_resamples: 3}
power: {depth: 0.5, sizes: [0.5, 8], n_draws: 20}
interventions:
  coefficients: [-1, 1]
  where: prompt_end_on
  removals: [remove, mean, everywhere, leace]
  n_questions: 4
  n_random: 2
  n_responses: 2
  n_ablation: 20
  compared_methods: [mean_difference]
  n_layers: 2
  eligible: label
prompting:
  methods: [instruction, few-shot, good and bad, steering, in-context vector]
  n_examples: [2]
  n_seeds: 1
  families: all
  n_questions: 4
tuning:
  models: [tiny]
  n_examples: [4]
  n_seeds: 1
  methods: [sft, dpo, distillation]
  prompting: [instruction, few-shot, good and bad, steering, in-context vector]
  label_noise: [0.5]
  weak_labeller: {model: tiny, layer: 0}
  contrast_sets: [lists]
  sham_training: true
  n_distillation: 2
  n_readout: 20
  steps: 6
  batch_size: 2
  learning_rate: 0.01
  lora_rank: 2
  dpo_beta: 0.1
  checkpoint_every: 2
"""
ONE_PROCESS = {
    "test_documented_commands.py",
    "test_page_in_browser.py",
    "test_remotes.py",
    "test_tuning.py",
}
"""Modules whose tests share what takes minutes to make, or follow one another."""
GIT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "test"), ("EMAIL", "test@example.org"))
}
DATA = ("contrast", "examples", "grades", "public", "published", "questions", "tables", "texts")
STUDY = [
    ["prompts"],
    ["activations", "tiny"],
    ["labels"],
    ["vectors", "tiny"],
    ["predictivity"],
    ["power"],
    ["analysis"],
    ["interventions", "tiny"],
    ["intervention_tables"],
    ["figures"],
    ["report"],
]


class SharedStudies(LoadScopeScheduling):
    """Gives each test to the process that is free, and modules of `ONE_PROCESS` whole.

    The marks `xdist_group`, which are for this, do nothing with pytest 9.2 and xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if Path(module).name in ONE_PROCESS else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedStudies:
    """How tests are given to processes."""
    return SharedStudies(config, log)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, with this Python's programs and the folder's package first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(folder), **GIT},
    )


def run_stage(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python stages/NAME.py ...` in `folder`."""
    return run(folder, "python", f"stages/{words[0]}.py", *words[1:])


def git(folder: Path, *words: str) -> None:
    """Run git, which has to succeed."""
    done = run(folder, "git", *words)
    assert done.returncode == 0, done.stderr


def write_study(folder: Path) -> None:
    """Writes a repository with a study of a random-weight model, which `dvc repro` has run."""
    data = ("vectors/foreign", *(f"data/{each}" for each in DATA))
    for name in ("stages", "sycophancy_steering", "tuning", *data):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    ignored = (ROOT / ".gitignore").read_text().replace("/data/models/*\n", "")
    (folder / ".gitignore").write_text(ignored)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "reports").mkdir()
    (folder / "reports/controls.csv").write_text("organism\n")
    # The seed of a model whose answers to opinions the user's words turn, so that it is steered.
    tiny("llama", seed=4).model.save_pretrained(folder / "data/models/tiny")
    byte_tokenizer().save_pretrained(folder / "data/models/tiny")
    git(folder, "init", "--quiet", "--initial-branch=main")
    assert run(folder, "dvc", "init", "--quiet").returncode == 0
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    done = run(folder, "dvc", "repro")
    assert done.returncode == 0, done.stderr
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=study")


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of `write_study`. Not to be changed."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    return folder


@pytest.fixture
def study(finished_study: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to be broken."""
    return shutil.copytree(finished_study, tmp_path / "study", symlinks=True)


@pytest.fixture
def study_with_answers(study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished study, as if each family had answers enough to be drawn; the current folder."""
    path = study / "reports/cells/tiny/pairs.parquet"
    enough = pl.lit(LEAST_ITEMS, pl.Int32).alias("n_items_rarer_class")
    cells = pl.read_parquet(path).with_columns(enough)
    path.unlink()  # it may be a link into DVC's cache
    cells.write_parquet(path)
    monkeypatch.chdir(study)
    return study
