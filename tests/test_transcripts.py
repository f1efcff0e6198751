"""Transcripts from elsewhere: rates without the model, read-outs with it, refusals in one line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import ROOT, run_stage
from plain_pass import hidden_states
from sklearn.metrics import roc_auc_score
from tiny_models import byte_tokenizer, tiny

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.external.transcript_readouts import POSITIONS, projections, readouts
from sycophancy_steering.external.transcripts import behaviour, read_transcripts
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.statistics.clustered_means import clustered_share
from sycophancy_steering.storage.vector_files import write_vectors

SETTINGS = ActivationSettings(max_new_tokens=1, stop_at="turn")


def chat(*texts: str, label: object, **keys: object) -> dict[str, object]:
    """A record; the texts are those of user and assistant in turn."""
    turns = [
        {"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)
    ]
    return {"turns": turns, "label": label, **keys}


def records(n: int = 40) -> list[dict[str, object]]:
    """Chats about ten topics, in two families, of several lengths."""
    rng = random.Random(0)
    return [
        chat(
            f"I think claim {k % 10} is true. Is it?{' Please.' * rng.randint(0, 4)}",
            "Yes, you are right." if label else f"No, claim {k % 10} is false.",
            label=bool(label),
            item=f"claim {k % 10}",
            family="opinion" if k % 10 < 6 else "pushback",
        )
        for k in range(n)
        for label in [int(rng.random() < 0.5)]
    ]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rates_need_no_model_and_are_clustered_by_item(tmp_path):
    rows = [*records(), chat("Hm?", "Hm.", label=None, family="opinion", question_id=7)]
    path = write(tmp_path / "t.jsonl", rows)
    done = run_stage(ROOT, "transcripts", str(path), "--json", str(tmp_path / "o.json"))
    assert done.returncode == 0, done.stderr
    families = {row["family"]: row for row in json.loads((tmp_path / "o.json").read_text())
                ["behaviour"]}  # fmt: skip
    assert set(families) == {"opinion", "pushback", "all"}
    labelled = [row for row in rows if row["label"] is not None]
    flags = np.array([row["label"] for row in labelled])
    expected = clustered_share(flags, np.array([str(row["item"]) for row in labelled]))
    everything = families["all"]
    assert (everything["rate"], everything["rate_low"], everything["rate_high"]) == (
        float(expected.value), float(expected.low), float(expected.high),
    )  # fmt: skip
    assert (everything["n"], everything["n_items"], everything["n_unlabelled"]) == (40, 10, 1)
    assert families["opinion"]["n"] + families["pushback"]["n"] == 40
    assert f"{everything['rate']:.3f}" in done.stdout


def test_grades_have_a_mean(tmp_path):
    path = write(tmp_path / "t.jsonl", [chat("a", "b", label=n * 10, item=n) for n in range(11)])
    (row,) = behaviour(read_transcripts(path))
    assert float(row.rate.estimate.value) == 50 and row.n_items == 11


@pytest.fixture
def model():
    return tiny("llama")


def test_read_outs_are_those_of_a_plain_pass_over_the_recorded_words(model, tmp_path):
    transcripts = read_transcripts(write(tmp_path / "t.jsonl", records(16)))
    vectors = np.random.default_rng(0).normal(size=(3, 32))
    read = projections(model, transcripts.labelled, {"one": vectors}, SETTINGS)
    for layer in (0, 1):  # Hugging Face's last hidden state is after the final norm
        unit = vectors[layer] / np.linalg.norm(vectors[layer])
        expected: dict[str, list[float]] = {position: [] for position in POSITIONS}
        for one in transcripts.labelled:
            prompt = model.encode_chat(one.prompt)
            states = hidden_states(model, [*prompt, *model.encode(one.answer)])[layer + 1]
            expected["prompt"].append(float(states[len(prompt) - 1] @ unit))
            expected["continuation"].append(float(states[-1] @ unit))
        for position in POSITIONS:
            np.testing.assert_allclose(read[position][0, layer], expected[position], atol=1e-4)
        rows = readouts(["one"], read, transcripts, [layer], seed=0)
        for row in rows:
            auc = roc_auc_score(transcripts.labels, read[row.position][0, layer])
            assert float(row.estimate.value) == pytest.approx(auc, abs=1e-12)


def test_a_planted_difference_is_found_and_noise_is_not(model, tmp_path):
    rows = [{**row, "item": n} for n, row in enumerate(records(40))]  # as many topics as chats
    transcripts = read_transcripts(write(tmp_path / "t.jsonl", rows))
    read = projections(model, transcripts.labelled, {"one": np.ones((3, 32))}, SETTINGS)
    rng = np.random.default_rng(0)
    for values in read.values():
        values[0] = rng.normal(size=values[0].shape)
    read["continuation"][0, 1] += 2.5 * transcripts.labels
    found = {(row.position, row.layer): row for row in
             readouts(["one"], read, transcripts, [0, 1, 2], seed=0)}  # fmt: skip
    planted = found.pop(("continuation", 1))
    assert planted.p < 0.01 and planted.estimate.low > 0.5
    assert planted.estimate.value > planted.random_high
    assert all(
        row.p > 0.05 and row.estimate.low < 0.5 < row.estimate.high for row in found.values()
    )


PARAMS = """
model: {tiny: {dtype: float32, device: cpu}}
activations: {max_new_tokens: 4, stop_at: answer}
"""


def test_the_command_reads_through_a_model_and_feeds_the_scores(model, tmp_path):
    model.model.save_pretrained(tmp_path / "data/models/tiny")
    byte_tokenizer().save_pretrained(tmp_path / "data/models/tiny")
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    (tmp_path / "sycophancy_steering").symlink_to(ROOT / "sycophancy_steering")
    write(tmp_path / "t.jsonl", records(24))
    vectors = np.random.default_rng(1).normal(size=(3, 32)).astype(np.float32)
    write_vectors(tmp_path / "v.safetensors", vectors, {})
    words = ["t.jsonl", "--model", "tiny", "--vectors", "v.safetensors", "--layer", "1"]
    done = run_stage(tmp_path, "transcripts", *words, "--scores", "s.csv", "--json", "o.json")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "o.json").read_text())["readouts"]
    assert [(one["position"], one["layer"]) for one in numbers] == [
        ("prompt", 1),
        ("continuation", 1),
    ]
    table = pl.read_csv(tmp_path / "s.csv")
    assert len(table) == 48
    table.filter(position="continuation").write_csv(tmp_path / "c.csv")
    options = ["--label", "label", "--score", "projection", "--cluster", "item"]
    done = run_stage(tmp_path, "score", "c.csv", *options, "--json", "a.json")
    assert done.returncode == 0, done.stderr
    auroc = json.loads((tmp_path / "a.json").read_text())["auroc"]
    assert auroc == pytest.approx(numbers[1]["value"], abs=1e-12)
    for words, message in (
        (["t.jsonl", "--model", "tiny"], "--model and --vectors together"),
        (["t.jsonl", "--model", "tiny", "--vectors", "v.safetensors", "--layer", "3"],
         "expected 0 to 2"),
    ):  # fmt: skip
        done = run_stage(tmp_path, "transcripts", *words)
        assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1


GOOD = {"turns": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        "label": True}  # fmt: skip
BAD = {
    "an unknown key": ({**GOOD, "score": 3}, "key 'score': unknown key"),
    "no label": ({"turns": GOOD["turns"]}, "key 'label'"),
    "a label in other words": ({**GOOD, "label": "yes"}, "key 'label': expected true or false"),
    "a label that is no number": ({**GOOD, "label": float("nan")}, "key 'label'"),
    "no turns": ({**GOOD, "turns": []}, "key 'turns'"),
    "an unknown role": (
        {**GOOD, "turns": [{"role": "human", "content": "a"}]}, "turn 1: expected a role",
    ),
    "an empty text": (
        {**GOOD, "turns": [{"role": "user", "content": " "}]}, "turn 1: expected a text",
    ),
    "another key in a turn": (
        {**GOOD, "turns": [{"role": "user", "content": "a", "id": 1}]}, "turn 1: expected {role",
    ),
    "no answer": ({**GOOD, "turns": [{"role": "user", "content": "a"}]}, "assistant's answer last"),
    "a grade among classes": ({**GOOD, "label": 80}, "found the grade 80"),
    "an item that is a list": ({**GOOD, "item": ["x"]}, "key 'item'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_refused_by_line_and_key(name, tmp_path):
    record, message = BAD[name]
    path = write(tmp_path / "t.jsonl", [GOOD, record])
    with pytest.raises(InputError) as error:
        read_transcripts(path)
    assert message in str(error.value) and f"{path}, line 2" in str(error.value)


def test_a_file_without_labels_is_refused(tmp_path):
    with pytest.raises(InputError, match="found none"):
        read_transcripts(write(tmp_path / "t.jsonl", [{**GOOD, "label": "unclear"}]))
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    with pytest.raises(InputError):
        read_transcripts(tmp_path / "deep.jsonl")
