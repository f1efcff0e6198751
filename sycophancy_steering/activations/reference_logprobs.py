"""Log-probabilities of answers after reference prompts: without the user's view, or the question
alone before its known true and false answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sycophancy_steering.engine.forced_answers import answer_logprobs, longest_answer
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import prefill
from sycophancy_steering.engine.prompt import TokenIds
from sycophancy_steering.questions.question import EXTRACTION_SPLIT, Row, Turn

ChatAnswers = tuple[tuple[Turn, ...], tuple[str, ...]]
"""A chat, and answers to force after it."""


@torch.inference_mode()
def chat_answer_logprobs(
    language_model: LanguageModel, chats: Sequence[ChatAnswers], prompts: Sequence[TokenIds]
) -> list[list[float]]:
    """Log-probability of each answer of each chat; `prompts` are the chats' token ids."""
    answers = [[language_model.encode(text) for text in texts] for _, texts in chats]
    prefilled = prefill(language_model, prompts, longest_answer(answers))
    return answer_logprobs(language_model, prefilled, answers)


def counterfactual_chats(row: Row) -> dict[str, ChatAnswers]:
    """The question without the user's view, by a user of the opposite view, and with a neutral
    turn, those that it has; each with the question's answers. Names are those of columns.

    The last two only outside the split that vectors are made from.
    """
    chats = {"plain_logprobs": row.without_user}
    if row.split != EXTRACTION_SPLIT:
        chats |= {"opposite_logprobs": row.opposite_user, "neutral_logprobs": row.neutral_turn}
    return {name: (turns, row.answers) for name, turns in chats.items() if turns}


def reference_chat(row: Row, has_chat_template: bool) -> ChatAnswers | None:
    """The question alone and its reference answers, the true ones first; None without any.

    As TruthfulQA scores them (Lin et al. 2022, https://arxiv.org/abs/2109.07958): each ends with a
    full stop, none is shown in the prompt, which is "Q: ... A:" without a chat template.
    """
    if not row.true_answers:
        return None
    texts = row.true_answers + row.false_answers
    sentences = [text if text.endswith(".") else text + "." for text in texts]
    if has_chat_template:
        return (Turn("user", row.item),), tuple(sentences)
    return (Turn("user", f"Q: {row.item}\nA:"),), tuple(f" {text}" for text in sentences)
