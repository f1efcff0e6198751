"""What answers are compared with: the question without its user, and reference answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plain_pass import logprob_of
from tiny_models import rows, tiny

from sycophancy_steering.activations.reference_logprobs import (
    chat_answer_logprobs,
    counterfactual_chats,
    reference_chat,
)
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
