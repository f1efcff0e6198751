"""The package in a notebook: the documented example runs anywhere; numbers are plain ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from sklearn.metrics import roc_auc_score
from tiny_models import byte_tokenizer, tiny

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.notebook import Model, compare, evaluate, make_vectors, read_questions

TOPICS = ("tea", "rain", "chess", "trains", "soup", "maps", "snow", "bread", "owls", "sand")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and questions, as the documentation has them."""
    path = tmp_path_factory.mktemp("notebook")
    tiny("llama").model.save_pretrained(path / "models/mine")
    byte_tokenizer().save_pretrained(path / "models/mine")
    lines = [
        json.dumps(
            {
                "question": f"I {verb} {topic}. Is it any good?",
                "choices": ["Yes", "No"],
                "sycophantic": sycophantic,
                "item": topic,
            }
        )
        for topic in TOPICS
        for verb, sycophantic in (("love", "Yes"), ("adore", "Yes"), ("hate", "No"))
    ]
    (path / "questions.jsonl").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def activations(folder):
    model = Model.load(folder / "models/mine", max_new_tokens=3)
    return model.extract(read_questions(folder / "questions.jsonl"))


def test_the_documented_example_runs_from_another_directory(folder):
    text = (ROOT / "docs/notebook.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    lines = [line for line in example.splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 10
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "auroc_low" in done.stdout
    assert "cosine" in done.stdout


def test_aurocs_are_those_of_scikit_learn(activations):
    vectors = make_vectors(activations, "mean_difference")
    table = evaluate(vectors, activations, positions=("prompt",))
    for row in table.iter_rows(named=True):
        scores = activations.by_position["prompt"][row["layer"]] @ vectors[row["layer"]]
        expected = roc_auc_score(activations.labels, scores.astype(float))
        assert row["auroc"] == pytest.approx(expected, abs=1e-6)
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]


def test_the_mean_difference_is_that_of_plain_hidden_states(folder, activations):
    model = Model.load(folder / "models/mine").language_model
    rows = activations.questions.rows
    differences = []
    for row in rows:
        ends = []
        for letter in (row.matching, row.not_matching[0]):
            ids = model.encode_chat(row.messages) + model.encode(row.forced_answer(letter))
            with torch.no_grad():
                states = model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
            ends.append(states[1][0, -1].numpy())
        differences.append(ends[0] - ends[1])
    expected = np.mean(differences, axis=0)
    np.testing.assert_allclose(make_vectors(activations)[0], expected, rtol=1e-3, atol=1e-4)


def test_a_split_shares_no_item_and_loses_no_question(activations):
    first, second = activations.questions.split(0.5)
    assert not set(first.items) & set(second.items)
    assert len(first) + len(second) == len(activations.questions)


def test_a_vector_agrees_with_itself(activations):
    vectors = make_vectors(activations, "pca")
    assert compare(vectors, vectors)["cosine"].to_list() == pytest.approx([1.0] * len(vectors))


def test_what_cannot_be_done_is_said_in_one_line(activations):
    with pytest.raises(InputError, match="unknown method 'median'; expected one of mean_diff"):
        make_vectors(activations, "median")
    with pytest.raises(InputError, match="ccs needs contrast pairs"):
        make_vectors(activations, "ccs", "prompt")
    with pytest.raises(InputError, match=r"vectors of shape \(2, 3\); expected"):
        evaluate(np.ones((2, 3), np.float32), activations)
    with pytest.raises(InputError, match="10 items cannot be split by 0"):
        activations.questions.split(0)
