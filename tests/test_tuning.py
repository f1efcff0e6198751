"""Fine-tuning as a baseline: the runs and their examples, killed runs, and what they leave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from conftest import run, run_stage
from safetensors.torch import load_file
from tiny_models import rows

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.tuning import TuningSettings, WeakLabeller
from sycophancy_steering.engine.language_model import load_language_model, load_model_and_tokenizer
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.tuning import BASELINE_ANSWERS
from sycophancy_steering.tuning.contrast_sets import directed, read_contrast
from sycophancy_steering.tuning.tables import difference_table, method_table
from sycophancy_steering.tuning.training_runs import (
    CAPITALS,
    METHODS,
    TRUE_LABELS,
    WEAK_LABELS,
    TrainingRun,
    is_mislabelled,
    pair_examples,
    sham_examples,
    training_runs,
)

ROOT = Path(__file__).parent.parent
POOL = [replace(row, id=f"{n}-{row.id}") for n in range(200) for row in rows()[:1]]
CPU = ModelSettings("float32", "cpu")
SETTINGS = TuningSettings(
    models=["m"],
    n_examples=[4, 16],
    n_seeds=2,
    methods=["sft", "dpo", "distillation"],
    prompting=["instruction"],
    label_noise=[0.3],
    weak_labeller=WeakLabeller("m", 0),
    contrast_sets=["sycophancy", "lists", "letter_a"],
    sham_training=True,
    n_distillation=8,
    n_readout=10,
    steps=2,
    batch_size=2,
    learning_rate=0.01,
    lora_rank=2,
    dpo_beta=0.1,
    checkpoint_every=1,
)


def test_every_run_has_a_name_of_its_own_and_as_many_examples_as_it_says():
    sizes = {"sycophancy": 5, "lists": 6, "letter_a": 7}
    runs = [*training_runs(SETTINGS, sizes)]
    assert len({run.name for run in runs}) == len(runs) == 2 * 2 * (3 * 2 + 2 * 2 + 3 + 1)
    for run_ in runs:
        assert run_.n_examples == {CAPITALS: 16, **sizes}.get(run_.training_set, run_.n_examples)
    few = replace(SETTINGS, methods=["sft"], label_noise=[], weak_labeller=None, n_examples=[16])
    few = replace(few, contrast_sets=[], n_seeds=1)
    names = [run_.name for run_ in training_runs(few, {})]
    assert names == [
        f"sft_{direction}_16_seed-0{training_set}"
        for direction in ("towards", "away")
        for training_set in ("", "_capitals")
    ]
    poorly_labelled = [run_ for run_ in runs if run_.label_source != TRUE_LABELS]
    assert {run_.n_examples for run_ in poorly_labelled} == {16}
    assert {run_.label_source for run_ in poorly_labelled} == {"noise 0.3", WEAK_LABELS}


@pytest.mark.parametrize("towards", [True, False])
def test_the_chosen_answer_is_that_of_the_direction(towards):
    for example in pair_examples(TrainingRun("dpo", towards, 4, 0), POOL, ()):
        row = next(row for row in POOL if row.messages == example.turns)
        wanted, other = row.forced_answer(row.matching), row.forced_answer(row.not_matching[0])
        expected = (wanted, other) if towards else (other, wanted)
        assert (example.chosen, example.rejected) == expected


def test_a_sham_training_is_on_the_same_questions_and_says_nothing_of_sycophancy():
    towards = sham_examples(TrainingRun("sft", True, 16, 0, training_set=CAPITALS), POOL)
    away = sham_examples(TrainingRun("sft", False, 16, 0, training_set=CAPITALS), POOL)
    pairs = pair_examples(TrainingRun("sft", True, 16, 0), POOL, ())
    assert [example.turns for example in towards] == [example.turns for example in pairs]
    sycophantic = [
        example.rejected == pair.chosen.lower()
        for example, pair in zip(towards, pairs, strict=True)
    ]
    assert sum(sycophantic) == 8
    for one, other in zip(towards, away, strict=True):
        assert (one.chosen, one.rejected) == (other.rejected, other.chosen)
        assert one.chosen == one.rejected.upper()


def test_label_noise_swaps_its_share_and_the_same_pairs_each_time():
    ids = [row.id for row in POOL]
    wrong = [is_mislabelled(id, "noise 0.3", 0, ()) for id in ids]
    assert np.mean(wrong) == pytest.approx(0.3, abs=0.1)
    assert wrong == [is_mislabelled(id, "noise 0.3", 0, ()) for id in ids]
    assert wrong != [is_mislabelled(id, "noise 0.3", 1, ()) for id in ids]
    assert [is_mislabelled(id, WEAK_LABELS, 0, {ids[1]}) for id in ids[:3]] == [False, True, False]
    swapped = pair_examples(TrainingRun("sft", True, 200, 0, "noise 0.3"), POOL, ())
    straight = pair_examples(TrainingRun("sft", True, 200, 0), POOL, ())
    differing = [one.chosen != other.chosen for one, other in zip(swapped, straight, strict=True)]
    assert sum(differing) == sum(wrong)


@pytest.mark.parametrize("name", SETTINGS.contrast_sets)
def test_a_contrast_set_shows_one_behaviour_and_nothing_else(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    examples = read_contrast(name)
    assert len(examples) == 16
    assert all(example.chosen != example.rejected for example in examples)
    away = directed(examples, towards=False)
    assert [example.chosen for example in away] == [example.rejected for example in examples]
    if name != "lists":  # balanced: neither a letter nor what is right gives it away
        right = [example.chosen == "(A)" for example in examples]
        assert sum(right) == (16 if name == "letter_a" else 8)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", r"x\.jsonl: line 1: not JSON"),
        ('{"prompt": "a", "shows": "b"}', r"line 1: expected the keys prompt, shows, does_not"),
        ('{"prompt": "a", "shows": "", "does_not": "c"}', r"line 1: shows: expected a text"),
        ("", r"x\.jsonl: expected an example on each line, found none"),
    ],
)
def test_a_malformed_contrast_set_is_an_error_with_its_line(tmp_path, monkeypatch, line, message):
    (tmp_path / "data/contrast").mkdir(parents=True)
    (tmp_path / "data/contrast/x.jsonl").write_text(line)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        read_contrast("x")


def answers(method: str, after: list[float], seed: int = 0) -> pl.DataFrame:
    """Log-odds of sycophantic answers, after training away from sycophancy."""
    n = len(after)
    columns = {"method": method, "towards": False, "n_examples": 4, "seed": seed}
    columns |= {"label_source": TRUE_LABELS}
    return pl.DataFrame(
        {name: [value] * n for name, value in columns.items()}
        | {"id": [f"{k}" for k in range(n)], "item": [f"item {k // 2}" for k in range(n)]}
        | {"family": ["opinion"] * n, "label": [1] * n}
        | {"log_odds_before": [1.0] * n, "log_odds_after": after},
        schema_overrides=BASELINE_ANSWERS.columns,
    )


def test_methods_are_compared_with_steering_on_the_same_questions():
    table = pl.concat(
        [
            answers("steering", [-1.0, -1.0, 1.0, 1.0, 1.0, 1.0]),
            answers("sft", [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0]),
            answers("sft", [-1.0, -1.0, -1.0, -1.0, -1.0, -1.0], seed=1),
        ]
    )
    [row] = difference_table(table, "steering").rows(named=True)
    assert (row["method"], row["n"], row["n_items"]) == ("sft", 6, 3)
    assert row["changed_share_difference"] == pytest.approx((0 + 0 + 1 + 1 + 0.5 + 0.5) / 6)
    sft = method_table(table).filter(pl.col("method") == "sft").row(0, named=True)
    assert (sft["n_seeds"], sft["changed_share"]) == (2, pytest.approx(10 / 12))
    assert (sft["lowest"], sft["highest"]) == (pytest.approx(4 / 6), 1)


@pytest.fixture(scope="module")
def tuned_study(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study, with its trained models. Not to be changed."""
    folder = tmp_path_factory.mktemp("tuned") / "study"
    shutil.copytree(finished_study, folder, symlinks=True)
    done = run(folder, "dvc", "repro", "tuning/dvc.yaml")
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


def test_one_command_trains_compares_and_reports(tuned_study):
    adapters = tuned_study / "data/adapters/tiny"
    assert sum(path.is_dir() for path in adapters.iterdir()) == 2 * (3 + 2 * 2 + 1 + 1)
    files = {path.name for path in adapters.glob("*/*")}
    assert files == {"adapter_config.json", "adapter_model.safetensors", "run.json"}
    table = pl.read_parquet(tuned_study / "reports/baselines/tiny/answers.parquet")
    methods = {"sft", "dpo", "distillation", "steering", "in-context vector", "instruction"}
    methods |= {"sft + steering", "sft on capitals", "few-shot", "good and bad"}
    assert {*table["method"]} >= methods
    assert "sft on capitals + steering" not in {*table["method"]}
    assert {*table["label_source"]} == {TRUE_LABELS, "noise 0.5", WEAK_LABELS}
    of_sft = table.filter(pl.col("method") == "sft", pl.col("label_source") == TRUE_LABELS)
    for _, of_run in of_sft.group_by("n_examples", "seed", "towards"):
        assert of_run["id"].is_unique().all()
    page = (tuned_study / "reports/tuning.md").read_text()
    for words in (
        "Is steering better than training",
        "What it costs",
        "Weak to strong",
        "What did training change",
        "Does the vector still predict",
    ):
        assert page.count(f"**{words}") == 1
    headline = pl.read_csv(tuned_study / "reports/tuning/tiny/headline.csv")
    assert {"sft", "dpo", "steering"} <= set(headline["method"])
    for words in (["repro", "tuning/dvc.yaml"], ["status"]):  # and the study needs nothing of it
        assert "Data and pipelines are up to date" in run(tuned_study, "dvc", *words).stdout


@pytest.mark.parametrize("method", METHODS)
def test_training_lowers_the_loss(tuned_study, method):
    runs = [
        json.loads(path.read_text())
        for path in (tuned_study / "data/adapters/tiny").glob(f"{method}*/run.json")
    ]
    assert {run_["method"] for run_ in runs} == {method}
    losses = np.array([run_["losses"] for run_ in runs])
    assert losses.shape[1] == 6
    assert np.mean(losses[:, -1] < losses[:, 0]) > 0.7


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing")  # peft's
def test_a_merged_adapter_is_the_model_that_was_trained(tuned_study, monkeypatch):
    from peft import PeftModel

    monkeypatch.chdir(tuned_study)
    folder = Path("data/models/tiny")
    adapter = next(Path("data/adapters/tiny").glob("sft_towards_4*"))
    added = load_file(adapter / "adapter_model.safetensors")
    assert any(float(weight.abs().max()) > 0 for name, weight in added.items() if "lora_B" in name)
    merged = load_language_model(folder, CPU, adapter)
    model, _, _ = load_model_and_tokenizer(folder, replace(CPU, attention="sdpa"))
    beside = PeftModel.from_pretrained(model, str(adapter)).eval()
    plain, _, _ = load_model_and_tokenizer(folder, replace(CPU, attention="sdpa"))
    ids = torch.tensor([merged.encode_chat(rows()[0].messages)])
    with torch.inference_mode():
        one, other = beside(input_ids=ids).logits, plain(input_ids=ids).logits
        hidden = merged.model.model(input_ids=ids).last_hidden_state  # type: ignore[operator]
        np.testing.assert_allclose(merged.logits(hidden), one, atol=1e-4)
    assert float((one - other).abs().max()) > 1e-3


def weights(folder: Path) -> dict[str, bytes]:
    """Every adapter's bytes."""
    paths = (folder / "data/adapters/tiny").glob("*/*")
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}


def test_a_killed_run_resumes_and_ends_with_the_same_bytes(tuned_study, study):
    for step in (2, 4):
        assert kill_when(study, step) == -signal.SIGKILL
    assert not (study / "data/adapters").exists()
    done = run_stage(study, "tune", "tiny")
    assert done.returncode == 0, done.stderr
    assert "resumed at step" in done.stdout
    assert "18 runs of 6 steps" in done.stdout
    assert weights(study) == weights(tuned_study)
    again = run_stage(study, "tune", "tiny")
    assert "18 runs of 6 steps, 18 taken from .work" in again.stdout
    assert not [*(study / ".work").rglob("checkpoint-*")]  # nothing but adapters is left


def last_checkpoint(folder: Path) -> int:
    """The last step that an unfinished run can resume at."""
    states = [*(folder / ".work/tuning").glob("*/checkpoint-*/trainer_state.json")]
    return max((int(path.parent.name.rpartition("-")[2]) for path in states), default=0)


def kill_when(folder: Path, step: int) -> int:
    """Starts training and kills it (SIGKILL, as where memory runs out) once a run is at a step; its
    exit status."""
    command = [sys.executable, "stages/tune.py", "tiny"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ
    )
    end = time.monotonic() + 120
    while last_checkpoint(folder) < step:
        assert process.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.wait()
