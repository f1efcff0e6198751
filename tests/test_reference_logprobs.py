"""What answers are compared with: the question without its user, and reference answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_pass import logprob_of
from tiny_models import rows, tiny

from sycophancy_steering.activations.reference_logprobs import (
    chat_answer_logprobs,
    counterfactual_chats,
    reference_chat,
)
from sycophancy_steering.engine import forced_answers, forward_pass
from sycophancy_steering.engine.forced_answers import answer_logprobs
from sycophancy_steering.engine.prefill import prefill
from sycophancy_steering.questions.question import Turn

ROW = replace(
    rows()[3],
    item="What do cats see?",
    true_answers=("Cats see a lot.", "A lot"),
    false_answers=("Nothing at all",),
    without_user=(Turn("user", "Cats?"),),
)


def test_references_are_closed_and_follow_the_question_alone():
    closed = ("Cats see a lot.", "A lot.", "Nothing at all.")
    turns = (Turn("user", "What do cats see?"),)
    assert reference_chat(ROW, has_chat_template=True) == (turns, closed)
    spaced = tuple(f" {text}" for text in closed)
    plain = (Turn("user", "Q: What do cats see?\nA:"),)
    assert reference_chat(ROW, has_chat_template=False) == (plain, spaced)
    assert reference_chat(rows()[0], has_chat_template=True) is None


def test_the_question_without_its_user_is_followed_by_the_same_answers():
    assert counterfactual_chats(ROW) == {"plain_logprobs": (ROW.without_user, ROW.answers)}
    assert counterfactual_chats(rows()[0]) == {}


def test_likelihoods_are_those_of_whole_passes():
    language_model = tiny("llama")
    reference = reference_chat(ROW, has_chat_template=False)
    assert reference
    asked = [reference, *counterfactual_chats(ROW).values()]
    prompts = [language_model.encode_chat(turns) for turns, _ in asked]
    tokens = [np.array(each, dtype=np.int32) for each in prompts]
    found = chat_answer_logprobs(language_model, asked, tokens)
    for prompt, (_, answers), ours in zip(prompts, asked, found, strict=True):
        slow = [logprob_of(language_model, prompt, language_model.encode(a)) for a in answers]
        assert ours == pytest.approx(slow, abs=1e-3)


@pytest.mark.parametrize("cost_of_pass", [0, 8, 96])
def test_likelihoods_do_not_depend_on_which_answers_are_run_together(cost_of_pass, monkeypatch):
    """Answers of one to nine tokens, of two kinds a row, grouped by length."""
    monkeypatch.setitem(forward_pass.PASS_COST, "cpu", cost_of_pass)
    monkeypatch.setitem(forward_pass.PASS_TOKENS, "cpu", 24)
    model = tiny("llama")
    lengths = [(1, 4), (9, 2), (3, 1), (1, 1), (5, 9), (4,), (9, 9)]
    prompts = [np.arange(5 + n, dtype=np.int32) for n in range(len(lengths))]
    answers = [
        [[(7 * n + k) % 256 for k in range(width)] for width in widths]
        for n, widths in enumerate(lengths)
    ]
    with torch.inference_mode():
        result = answer_logprobs(model, prefill(model, prompts, 9), answers)
    for prompt, of_row, logprobs in zip(prompts, answers, result, strict=True):
        plain = [logprob_of(model, prompt.tolist(), answer) for answer in of_row]
        assert logprobs == pytest.approx(plain, abs=1e-3)


def test_groups_of_answers_have_every_row_once_and_little_padding(monkeypatch):
    monkeypatch.setitem(forward_pass.PASS_COST, "cpu", 4)
    lengths = torch.tensor([0, 3, 1, 8, 3, 0, 2, 8, 1, 1])
    all_rows = torch.arange(len(lengths))
    groups = [all_rows[group].tolist() for group in forced_answers._rows_by_length(lengths)]
    assert sorted(row for group in groups for row in group) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert groups[0] == [3, 7]
    assert [*forced_answers._rows_by_length(torch.zeros(3, dtype=torch.long))] == []
