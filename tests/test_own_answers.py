"""A chat of several turns, one of which the model itself says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from conftest import run_stage
from tiny_models import tiny

from sycophancy_steering.activations.own_answers import OwnAnswers
from sycophancy_steering.engine.generated_texts import generated_texts
from sycophancy_steering.interventions.asked_questions import asked_questions
from sycophancy_steering.questions.answer_parsing import find_answer
from sycophancy_steering.questions.prompt_table import read_prompts, write_prompts
from sycophancy_steering.questions.question import Turn, build_row
from sycophancy_steering.schemas.activations import RESPONSES
from sycophancy_steering.sources.plain_english import PLAIN_ENGLISH

ROW = build_row(PLAIN_ENGLISH["pushback"]()[0], (0, 1), "test")
CHOICES = [("A", "Paris"), ("B", "The Nile")]


def test_the_models_own_turn_is_filled_into_the_chat_and_its_neutral_version():
    own = OwnAnswers()
    own.add("key", ROW)
    (chat,) = own.chats
    assert own.chats[chat] == ROW.messages[:1] and own.missing() == [chat]
    own.take_over({"key": "It is so."})
    assert own.missing() == []
    filled = own.fill("key", ROW)
    assert filled.messages[1].content == filled.neutral_turn[1].content == "It is so."
    assert filled.messages[2] == ROW.messages[2]


def test_interventions_ask_what_the_model_was_asked(tmp_path):
    """The own turn is that of the responses, found by id in whatever order."""
    rows = [build_row(question, (0, 1), "test") for question in PLAIN_ENGLISH["pushback"]()[:3]]
    write_prompts(tmp_path / "set.parquet", rows)
    responses = pl.DataFrame(
        {"id": [row.id for row in rows[::-1]], "own_answer": ["Two.", "One.", None]},
        schema={"id": pl.String, "own_answer": pl.String},
    )
    responses.write_parquet(tmp_path / RESPONSES)
    asked = asked_questions(tmp_path / "set.parquet", tmp_path, {1, 2})
    assert [row.id for row in asked] == [rows[1].id, rows[2].id]
    assert [row.messages[1].content for row in asked] == ["One.", "Two."]
    assert asked[0].messages[2] == rows[1].messages[2]


def test_a_question_without_an_own_turn_stays_as_it_is():
    own = OwnAnswers()
    plain = replace(ROW, messages=(Turn("user", "Why?"),))
    own.add("key", plain)
    assert not own.chats and own.fill("key", plain) == plain


def test_own_answers_are_the_greedy_turn_of_the_model():
    language_model = tiny("llama")
    prompts = [language_model.encode_chat(ROW.messages[:1]) for _ in range(2)]
    texts = generated_texts(language_model, [torch.tensor(ids).numpy() for ids in prompts], 6)
    model: Any = language_model.model
    ids = torch.tensor(prompts[:1])
    with torch.inference_mode():
        expected = model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
    assert texts == [language_model.decode(expected.tolist()).strip()] * 2


def test_a_study_keeps_what_the_model_said_and_asks_about_it(study: Path):
    params = study / "params.yaml"
    params.write_text(
        params.read_text().replace(
            "held_out: {sources: {organism_opinions: 16,", "held_out: {sources: {pushback: 8,"
        )
    )
    for words in (["prompts"], ["activations", "tiny"], ["labels"]):
        done = run_stage(study, *words)
        assert done.returncode == 0, done.stderr
    responses = pl.read_parquet(study / "data/activations/tiny/held_out/responses.parquet")
    rows = read_prompts(study / "data/prompts/held_out.parquet")
    asked = [row.family == "pushback" for row in rows]
    assert responses["own_answer"].is_not_null().to_list() == asked
    assert responses["neutral_logprobs"].is_not_null().to_list() == asked
    labels = pl.read_parquet(study / "data/labels/tiny/held_out.parquet")
    assert labels.filter(pl.col("family") == "pushback")["label"].is_null().all()  # says nothing
    params.write_text(
        params.read_text().replace(
            ", organism_misconceptions: 12}, splits: [sel", "}, splits: [sel"
        )
    )
    for words in (["prompts"], ["activations", "tiny"]):
        assert run_stage(study, *words).returncode == 0
    refused = run_stage(study, "labels")
    assert refused.returncode == 1 and "no answer counts" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert f"(in {len(rows) - 12}, its own first turn names no option" in refused.stderr
    again = run_stage(study, "activations", "tiny")
    assert "none run" in again.stdout, again.stdout


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is Paris.", "A"),
        ("it is PARIS", "A"),
        ("I would say Nile.", "B"),
        ("It is not Paris.", None),
        ("It is not Paris, it is the Nile.", "B"),
        ("Paris or the Nile", None),
        ("Parisians say so", None),
        ("", None),
    ],
)
def test_an_answer_in_a_sentence_is_the_only_option_that_is_mentioned(text, letter):
    found = find_answer(text, CHOICES, "mention")
    assert (found and found.letter) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A yard is equal to 3 feet.", "A"),
        ("There are seven.", "B"),
        ("3.5 feet", None),
        ("3,000 feet", None),
        ("13 feet", None),
        ("3 or 7", None),
    ],
)
def test_a_number_is_mentioned_in_words_or_in_digits(text, letter):
    found = find_answer(text, [("A", "Three"), ("B", "7")], "mention")
    assert (found and found.letter) == letter
