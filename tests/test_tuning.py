"""Training as a baseline: who is shown what, runs that are killed, and what they leave."""

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
from sycophancy_steering.tuning.contrast_sets import read_contrast, directed
from sycophancy_steering.tuning.training_runs import (
    METHODS,
    PAIRS,
    TRUE_LABELS,
    WEAK_LABELS,
    TrainingRun,
    is_mislabelled,
    training_runs,
    pair_examples,
)
from sycophancy_steering.tuning.tables import difference_table, method_table

pytestmark = pytest.mark.xdist_group("tuned_study")  # made once
ROOT = Path(__file__).parent.parent
POOL = [replace(row, id=f"{n}-{row.id}") for n in range(200) for row in rows()[:1]]
CPU = ModelSettings("float32", "cpu")
SETTINGS = TuningSettings(
    models=["m"],
    n_examples=[4, 16],
    n_seeds=2,
    label_noise=[0.3],
    weak_labeller=WeakLabeller("m", 0),
    contrast_sets=["sycophancy", "lists", "letter_a"],
    n_distillation=8,
    steps=2,
    batch_size=2,
    learning_rate=0.01,
    lora_rank=2,
    dpo_beta=0.1,
    checkpoint_every=1,
)


def test_every_run_has_a_name_of_its_own_and_all_see_as_many_examples():
    sizes = {"sycophancy": 5, "lists": 6, "letter_a": 7}
    every = [*training_runs(SETTINGS, sizes)]
    assert len({each.name for each in every}) == len(every) == 2 * 2 * (3 * 2 + 2 * 2 + 3)
    for each in every:
        expected = sizes[each.training_set] if each.training_set != PAIRS else each.n_examples
        assert each.n_examples == expected
    poorly = [each for each in every if each.label_source != TRUE_LABELS]
    assert {each.n_examples for each in poorly} == {16}
    assert {each.label_source for each in poorly} == {"noise 0.3", WEAK_LABELS}


@pytest.mark.parametrize("towards", [True, False])
def test_the_chosen_answer_is_the_one_that_is_wanted(towards):
    for example in pair_examples(TrainingRun("dpo", towards, 4, 0), POOL, ()):
        row = next(row for row in POOL if row.messages == example.turns)
        wanted, other = row.forced_answer(row.matching), row.forced_answer(row.not_matching[0])
        expected = (wanted, other) if towards else (other, wanted)
        assert (example.chosen, example.rejected) == expected


def test_a_poor_grader_swaps_as_many_as_it_says_and_the_same_ones_each_time():
    ids = [row.id for row in POOL]
    wrong = [is_mislabelled(each, "noise 0.3", 0, ()) for each in ids]
    assert np.mean(wrong) == pytest.approx(0.3, abs=0.1)
    assert wrong == [is_mislabelled(each, "noise 0.3", 0, ()) for each in ids]
    assert wrong != [is_mislabelled(each, "noise 0.3", 1, ()) for each in ids]
    assert [is_mislabelled(each, WEAK_LABELS, 0, {ids[1]}) for each in ids[:3]] == [False, True, False]
    swapped = pair_examples(TrainingRun("sft", True, 200, 0, "noise 0.3"), POOL, ())
    straight = pair_examples(TrainingRun("sft", True, 200, 0), POOL, ())
    differ = [one.chosen != other.chosen for one, other in zip(swapped, straight, strict=True)]
    assert sum(differ) == sum(wrong)


@pytest.mark.parametrize("name", SETTINGS.contrast_sets)
def test_contrast_sets_show_one_thing_and_not_the_other(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = read_contrast(name)
    assert len(found) == 16
    assert all(example.chosen != example.rejected for example in found)
    assert [e.chosen for e in directed(found, False)] == [e.rejected for e in found]
    if name != "lists":  # balanced: neither a letter nor what is right gives it away
        right = [example.chosen == "(A)" for example in found]
        assert sum(right) == (16 if name == "letter_a" else 8)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", r"x\.jsonl: line 1: not JSON"),
        ('{"prompt": "a", "shows": "b"}', r"line 1: expected the keys prompt, shows, does_not"),
        ('{"prompt": "a", "shows": "", "does_not": "c"}', r"line 1: shows: expected a text"),
        ("", r"x\.jsonl: expected a line an example, found none"),
    ],
)
def test_a_contrast_set_is_held_against_what_is_expected(tmp_path, monkeypatch, line, said):
    (tmp_path / "data/contrast").mkdir(parents=True)
    (tmp_path / "data/contrast/x.jsonl").write_text(line)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        read_contrast("x")


def answers(way: str, after: list[float], **done: object) -> pl.DataFrame:
    n = len(after)
    about = {"way": way, "towards": False, "examples": 4, "seed": 0, "labels": TRUE_LABELS} | done
    return pl.DataFrame(
        {key: [value] * n for key, value in about.items()}
        | {"id": [f"{k}" for k in range(n)], "item": [f"item {k // 2}" for k in range(n)]}
        | {"family": ["opinion"] * n, "label": [1] * n, "before": [1.0] * n, "after": after}
    )


def test_more_than_steering_is_of_the_same_questions():
    table = pl.concat(
        [
            answers("steering", [-1.0, -1.0, 1.0, 1.0, 1.0, 1.0]),
            answers("sft", [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0]),
            answers("sft", [-1.0, -1.0, -1.0, -1.0, -1.0, -1.0], seed=1),
        ]
    )
    [row] = difference_table(table, "steering").rows(named=True)
    assert (row["way"], row["n"], row["items"]) == ("sft", 6, 3)
    assert row["more"] == pytest.approx((0 + 0 + 1 + 1 + 0.5 + 0.5) / 6)
    told = method_table(table).filter(pl.col("way") == "sft").row(0, named=True)
    assert (told["seeds"], told["turned"]) == (2, pytest.approx(10 / 12))
    assert (told["least"], told["most"]) == (pytest.approx(4 / 6), 1)


@pytest.fixture(scope="module")
def tuned_study(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study, with its trained models. Not to be changed."""
    folder = tmp_path_factory.mktemp("tuned") / "study"
    shutil.copytree(finished_study, folder, symlinks=True)
    done = run(folder, "dvc", "repro", "tuning/dvc.yaml")
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


def test_one_command_trains_asks_and_tells(tuned_study):
    every = {each.name for each in (tuned_study / "data/adapters/tiny").iterdir() if each.is_dir()}
    assert len(every) == 2 * (3 + 2 * 2 + 1)
    kept = {path.name for path in (tuned_study / "data/adapters/tiny").glob("*/*")}
    assert kept == {"adapter_config.json", "adapter_model.safetensors", "run.json"}
    found = pl.read_parquet(tuned_study / "reports/baselines/tiny/answers.parquet")
    ways = {"sft", "dpo", "distillation", "steering", "in-context vector", "instruction"}
    assert {*found["way"]} >= ways | {"sft + steering", "few-shot", "good and bad"}
    assert {*found["labels"]} == {TRUE_LABELS, "noise 0.5", WEAK_LABELS}
    for _, held in found.filter(pl.col("way") == "sft").group_by("examples", "seed", "towards"):
        assert held.filter(pl.col("labels") == TRUE_LABELS)["id"].is_unique().all()
    page = (tuned_study / "reports/tuning.md").read_text()
    for words in (
        "Is it better than training",
        "What it costs",
        "From weak labels",
        "What did training change",
        "Does the vector still predict",
    ):
        assert page.count(f"**{words}") == 1
    metrics = json.loads((tuned_study / "reports/tuning.json").read_text())
    assert {"sft", "dpo", "steering"} <= metrics["tiny"].keys()
    for words in (["repro", "tuning/dvc.yaml"], ["status"]):  # and the study needs nothing of it
        assert "Data and pipelines are up to date" in run(tuned_study, "dvc", *words).stdout


@pytest.mark.parametrize("method", METHODS)
def test_training_learns_what_it_is_shown(tuned_study, method):
    told = [
        json.loads(path.read_text())
        for path in (tuned_study / "data/adapters/tiny").glob(f"{method}*/run.json")
    ]
    assert {each["method"] for each in told} == {method}
    assert all(len(each["losses"]) == 6 for each in told)
    assert np.mean([each["losses"][-1] < each["losses"][0] for each in told]) > 0.7


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing")  # peft's
def test_a_merged_adapter_is_the_model_that_was_trained(tuned_study, monkeypatch):
    from peft import PeftModel

    monkeypatch.chdir(tuned_study)
    folder = Path("data/models/tiny")
    adapter = next(Path("data/adapters/tiny").glob("sft_towards_4*"))
    added = load_file(adapter / "adapter_model.safetensors")
    assert any(float(each.abs().max()) > 0 for name, each in added.items() if "lora_B" in name)
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


def test_a_run_that_is_killed_is_gone_on_with_as_if_it_had_not_been(tuned_study, study):
    for step in (2, 4):
        assert kill_when(study, step) == -signal.SIGKILL
    assert not (study / "data/adapters").exists()
    done = run_stage(study, "tune", "tiny")
    assert done.returncode == 0, done.stderr
    assert "gone on with at step" in done.stdout
    assert "16 runs of 6 steps" in done.stdout
    assert weights(study) == weights(tuned_study)
    again = run_stage(study, "tune", "tiny")
    assert "16 runs of 6 steps, 16 taken from .work" in again.stdout
    assert not [*(study / ".work").rglob("checkpoint-*")]  # nothing but adapters is left


def begun(folder: Path) -> int:
    """The last step after which a run that is not done can be gone on with."""
    found = [*(folder / ".work/tuning").glob("*/checkpoint-*/trainer_state.json")]
    return max((int(path.parent.name.rpartition("-")[2]) for path in found), default=0)


def kill_when(folder: Path, step: int) -> int:
    """Starts to train, and kills it once a run is at a step, as a machine does that is out of
    memory; its exit status."""
    command = [sys.executable, "stages/tune.py", "tiny"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ
    )
    end = time.monotonic() + 120
    while begun(folder) < step:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.wait()
