"""How likely a model finds given answers after given prompts: no states, no continuation."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sycophancy_steering.engine.forced_answers import answer_logprobs, room_for
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import prefill
from sycophancy_steering.engine.prefix_tree import Tokens
from sycophancy_steering.questions.question import Row, Turn

Asked = tuple[tuple[Turn, ...], tuple[str, ...]]
"""A chat, and answers that may follow it."""


@torch.inference_mode()
def likelihoods(
    language_model: LanguageModel, asked: Sequence[Asked], prompts: Sequence[Tokens]
) -> list[list[float]]:
    """Log-probability of each answer of each of `asked` (token ids: `prompts`)."""
    answers = [[language_model.encode(text) for text in texts] for _, texts in asked]
    prefilled = prefill(language_model, prompts, room_for(answers))
    return answer_logprobs(language_model, prefilled, answers)


def without_user(row: Row) -> Asked | None:
    """The question without its user, where there is one to leave out."""
    return (row.plain, row.answers) if row.plain else None


def references(row: Row, chat: bool) -> Asked | None:
    """The question alone and all its reference answers, the true ones first.

    As TruthfulQA scores them: each closed with a full stop, none shown in the prompt, which for a
    model without a chat template is "Q: ... A:".
    """
    if not row.true_answers:
        return None
    texts = row.true_answers + row.false_answers
    closed = [text if text.endswith(".") else text + "." for text in texts]
    if chat:
        return (Turn("user", row.item),), tuple(closed)
    return (Turn("user", f"Q: {row.item}\nA:"),), tuple(f" {text}" for text in closed)
