"""What an extraction does on the model: the work that is handed to workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sycophancy_steering.activations.prompts import to_response
from sycophancy_steering.activations.reference_logprobs import ChatAnswers, chat_answer_logprobs
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.forward import extract_batch, extract_without_generating
from sycophancy_steering.engine.generated_texts import generated_texts
from sycophancy_steering.engine.prompt import Prompt, TokenIds
from sycophancy_steering.engine.workers import HeldModel
from sycophancy_steering.questions.question import Row


@dataclass(frozen=True)
class ExtractedQuestions:
    """What a block of the store holds of some questions."""

    activations: Mapping[str, tuple[Sequence[str], np.ndarray]]
    """By position: the ids of the questions that have it, and (layers, questions, d_model)."""
    responses: Sequence[Mapping[str, Any]]
    prompt_tokens_run: int
    """Shared prefixes are counted once, padding is included."""


def extract_questions(
    model: HeldModel,
    questions: Sequence[tuple[Row, Prompt]],
    settings: ActivationSettings,
    generates: bool,
) -> Iterator[tuple[slice, ExtractedQuestions]]:
    """Runs a batch of questions: in one part, or in more where memory runs out."""
    extract = extract_batch if generates else extract_without_generating
    prompts = [prompt for _, prompt in questions]

    def compute(rows: slice) -> ExtractedQuestions:
        result = extract(model.language_model, prompts[rows], settings)
        activations = {
            position: ([prompts[rows][n].id for n in at.rows], at.activations)
            for position, at in result.activations.items()
        }
        responses = [
            asdict(to_response(model.language_model, row, prompt, output, settings))
            for (row, prompt), output in zip(questions[rows], result.outputs, strict=True)
        ]
        return ExtractedQuestions(activations, responses, result.prompt_tokens_run)

    yield from model.budget.in_parts([prompt.token_ids for prompt in prompts], compute)


def own_turns(
    model: HeldModel, prompts: Sequence[TokenIds], max_new_tokens: int
) -> Iterator[tuple[slice, list[str]]]:
    """What the model says in its own turns of a batch of chats."""

    def compute(rows: slice) -> list[str]:
        return generated_texts(model.language_model, prompts[rows], max_new_tokens)

    yield from model.budget.in_parts(prompts, compute)


def logprobs_of_chats(
    model: HeldModel, chats: Sequence[ChatAnswers], prompts: Sequence[TokenIds]
) -> Iterator[tuple[slice, list[list[float]]]]:
    """The log-probability of each answer of a batch of chats, whose token ids are `prompts`."""

    def compute(rows: slice) -> list[list[float]]:
        return chat_answer_logprobs(model.language_model, chats[rows], prompts[rows])

    yield from model.budget.in_parts(prompts, compute)
