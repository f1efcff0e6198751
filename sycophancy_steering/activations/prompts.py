"""Translates questions into prompts for the engine, and the engine's output into responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prompt import ModelOutput, Prompt, TokenIds
from sycophancy_steering.questions.answer_parsing import answer_wordings, find_answer, prefix_free
from sycophancy_steering.questions.question import EXTRACTION_SPLIT, Row, Turn


@dataclass(frozen=True)
class Response:
    """What a model answered to one question: a row of responses.parquet."""

    id: str
    prompt_tokens: int
    continuation: str = ""
    """Empty, and the fields below None, where nothing was generated."""
    answer: str | None = None
    """Letter of the answer found in the continuation."""
    logprobs: list[float] | None = None
    """Log-probability of each choice's answer as written, all its tokens, after the prompt; none
    for a chat without options."""
    answer_tokens: list[int] | None = None
    """Number of tokens of each of these answers."""
    any_logprobs: list[float] | None = None
    """Log-probability of each choice's answer in any wording, with `answer_wordings: any`."""
    continuation_prefixes: list[str] = field(default_factory=list)
    """The continuation up to each of `activations.continuation_tokens` that it has."""
    own_answer: str | None = None
    """What the model own_text in its own turn of the chat; None where it has none."""
    own_answer_letter: str | None = None
    """The answer found in that turn."""


def chat_tokens(language_model: LanguageModel, turns: Sequence[Turn]) -> TokenIds:
    """Token ids of a chat."""
    return np.array(language_model.encode_chat(turns), dtype=np.int32)


def to_prompt(language_model: LanguageModel, row: Row, answer_wordings: str = "written") -> Prompt:
    """The prompt of a question, with its answers to be forced after it.

    Activations are stored at the ends of the sycophantic answer (`matching`) and of the first
    other one (`not_matching`). A chat without options has neither, and its continuation ends with
    the model's turn.
    """
    token_ids = chat_tokens(language_model, row.messages)
    if not row.choices:
        is_evaluated = bool(row.rubric) and row.split != EXTRACTION_SPLIT
        return Prompt(row.id, token_ids, store_continuation_tokens=is_evaluated)
    letters = [letter for letter, _ in row.choices]
    return Prompt(
        id=row.id,
        token_ids=token_ids,
        forced_answers=[language_model.encode(answer) for answer in row.answers],
        answer_positions={
            "matching": letters.index(row.matching),
            "not_matching": letters.index(row.not_matching[0]),
        },
        answer_wordings=_wordings(language_model, row) if answer_wordings == "any" else (),
        store_continuation_tokens=row.split != EXTRACTION_SPLIT,
        is_complete=lambda text: answer_is_complete(row, text),
    )


def _wordings(language_model: LanguageModel, row: Row) -> list[list[tuple[int, ...]]]:
    """Token ids of all wordings of each choice."""
    return [
        prefix_free(
            language_model.encode(text)
            for text in answer_wordings(written, letter, option, row.form)
        )
        for (letter, option), written in zip(row.choices, row.answers, strict=True)
    ]


def answer_is_complete(row: Row, text: str) -> bool:
    """Whether a continuation holds a whole answer: a closed bracket, an option's whole text, or a
    sentence that mentions one; a bare letter may still become a word."""
    answer = find_answer(text, list(row.choices), row.form)
    if answer is None or row.form == "free":
        return answer is not None
    return text[-1] in ".!?\n" if row.form == "mention" else text[answer.end - 1] == ")"


def to_response(
    language_model: LanguageModel,
    row: Row,
    prompt: Prompt,
    output: ModelOutput,
    settings: ActivationSettings,
) -> Response:
    """The response to a question; without a continuation where none was generated."""
    n_tokens = len(prompt.token_ids)
    own_text = next((turn.content for turn in row.messages if turn.own), None)
    own_answer = find_answer(own_text, list(row.choices), row.form) if own_text else None
    own_letter = own_answer.letter if own_answer else None
    if output.answer_logprobs is None:
        return Response(row.id, n_tokens, own_answer=own_text, own_answer_letter=own_letter)
    text = language_model.decode(output.continuation)
    answer = find_answer(text, list(row.choices), row.form)
    prefix_lengths = [n for n in settings.continuation_tokens if n <= len(output.continuation)]
    return Response(
        id=row.id,
        prompt_tokens=n_tokens,
        continuation=text,
        answer=answer.letter if answer else None,
        logprobs=output.answer_logprobs,
        answer_tokens=[len(answer) for answer in prompt.forced_answers],
        any_logprobs=output.wording_logprobs,
        continuation_prefixes=[
            language_model.decode(output.continuation[:n]) for n in prefix_lengths
        ],
        own_answer=own_text,
        own_answer_letter=own_letter,
    )
