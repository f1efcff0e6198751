"""Chats without options: how they are sampled, and what is extracted of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from conftest import run_stage
from plain_pass import hidden_states, logprobs
from tiny_models import tiny

from sycophancy_steering.activations.prompts import to_prompt, to_response
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.engine.forward import extract_batch, extract_without_generating
from sycophancy_steering.questions.question import Row, Turn, build_row
from sycophancy_steering.questions.splits import SPLITS, sample
from sycophancy_steering.sources.chats import CHATS, chat
from sycophancy_steering.sources.plain_english import read_rows

SHARES = SplitShares(extract=0.4, select=0.25, test=0.35, seed=0)
SETTINGS = ActivationSettings(max_new_tokens=5, stop_at="answer", continuation_tokens=[1, 2])


def neutral_rows(splits: list[str], limit: int = 300) -> list[Row]:
    return sample(CHATS["neutral_chats"](), SHARES, splits, limit).rows


def test_all_neutral_chats_are_rows_without_options():
    asked = neutral_rows([*SPLITS])
    texts = [row["text"] for row in read_rows("neutral_chats")]
    assert sorted(row.messages[0].content for row in asked) == sorted(texts)
    assert len({row.id for row in asked}) == len({row.item for row in asked}) == len(texts) == 300
    for row in asked:
        assert (row.choices, row.answers, row.matching, row.not_matching) == ((), (), "", ())


def test_a_larger_sample_adds_chats_and_changes_none():
    few, many = ({row.id for row in neutral_rows(["test"], n)} for n in (20, 60))
    assert len(few) == 20 and few < many


def chats_with_a_system_turn() -> list[Row]:
    texts = ("Why is the sky blue?", "Write a poem about the sea, and keep it short, please.")
    return [
        build_row(
            chat("trial", "trial", text, (Turn("system", "Be brief."), Turn("user", text))),
            (),
            "extract",
        )
        for text in texts
    ]


def test_activations_are_those_of_a_plain_pass_over_prompt_and_response():
    language_model, asked = tiny("llama"), chats_with_a_system_turn()
    prompts = [to_prompt(language_model, row) for row in asked]
    batch = extract_batch(language_model, prompts, SETTINGS)
    ends = extract_without_generating(language_model, prompts, SETTINGS)
    assert {*batch.activations} == {"prompt", "continuation", "continuation_mean"}
    assert {*ends.activations} == {"prompt"}
    for n, (row, prompt, output) in enumerate(zip(asked, prompts, batch.outputs, strict=True)):
        ids, said = prompt.token_ids.tolist(), []
        assert ids == language_model.encode_chat(row.messages)
        while len(said) < 5:
            token = int(logprobs(language_model, ids + said)[-1].argmax())
            if said and token == language_model.model.generation_config.eos_token_id:
                break
            said.append(token)
        assert output.continuation == said
        states = hidden_states(language_model, ids + said)[1:-1]  # the last has the final norm
        expected = {
            "prompt": states[:, len(ids) - 1],
            "continuation": states[:, -1],
            "continuation_mean": states[:, len(ids) :].mean(1),
        }
        for position, value in expected.items():
            stored = batch.activations[position].activations[:-1, n]
            np.testing.assert_allclose(stored, value, rtol=1e-4, atol=1e-5)
        stored = ends.activations["prompt"].activations[:-1, n]
        np.testing.assert_allclose(stored, expected["prompt"], rtol=1e-4, atol=1e-5)
        response = to_response(language_model, row, prompt, output, SETTINGS)
        assert response.continuation == language_model.decode(said)
        assert response.answer is None and not response.logprobs


def with_chats(study: Path, extract: str) -> None:
    params = study / "params.yaml"
    text = params.read_text().replace("small: [pairs, held_out]", "small: [pairs, held_out, chats]")
    chats = f"  chats: {{sources: {{neutral_chats: 9}}, splits: [test], extract: {extract}}}\n"
    params.write_text(text.replace("prompt_set:\n", "prompt_set:\n" + chats))


@pytest.mark.parametrize(
    ("extract", "positions"),
    [("prompts", {"prompt"}), ("chats", {"prompt", "continuation", "continuation_mean"})],
)
def test_a_study_extracts_chats_and_labels_none(study, extract, positions):
    with_chats(study, extract)
    for words in (["prompts", "chats"], ["activations", "tiny", "chats"], ["labels", "tiny"]):
        done = run_stage(study, *words)
        assert done.returncode == 0, done.stderr
    folder = study / "data/activations/tiny/chats"
    stored = pq.read_table(folder / "shard-00000.parquet", columns=["position"])["position"]
    assert {*stored.to_pylist()} == positions
    responses = pl.read_parquet(folder / "responses.parquet")
    assert (responses["continuation"] != "").all() == (extract == "chats")
    labels = pl.read_parquet(study / "data/labels/tiny/chats.parquet")
    assert len(labels) == 9
    assert labels["label"].is_null().all() and labels["log_odds"].is_null().all()
    rates = pl.read_csv(study / "reports/label_tables/tiny/chats.rates.csv")
    assert rates.rows() == [("neutral", 9, 9, None)]


@pytest.mark.parametrize(
    ("extract", "source", "line"),
    [
        ("everything", "neutral_chats", "expected chats or prompts for neutral_chats, whose"),
        ("chats", "opinions", "expected everything or forced_answers for opinions, whose"),
    ],
)
def test_what_cannot_be_extracted_of_a_source_is_refused(study, extract, source, line):
    with_chats(study, extract)
    params = study / "params.yaml"
    params.write_text(params.read_text().replace("neutral_chats: 9", f"{source}: 9"))
    done = run_stage(study, "prompts", "chats")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: params.yaml: prompt_set.chats.extract: {line}")
    assert len(done.stderr.splitlines()) == 1
