"""One pass of a model over a batch of questions: states, log-probabilities, its own continuation.

A prompt is run once, and what several of them begin with is run once too. Every answer, the forced
ones and the model's own, is then a few more tokens after it, and an answer that is what the model
would have said is not run again. Padding and company make no difference: positions are counted over
real tokens and padded ones are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sycophancy_steering.engine.forced_answers import (
    answer_each,
    answer_logprobs,
    by_row,
    room_for,
    states_of_answers,
)
from sycophancy_steering.engine.generation import Continuations
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import prefill
from sycophancy_steering.engine.prefix_tree import Tokens
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.answer_parsing import (
    find_answer,
    without_continuations,
    wordings,
)
from sycophancy_steering.questions.question import Row

POSITIONS = ("prompt", "continuation", "continuation_mean", "matching", "not_matching")
"""Where the residual stream is read: the last token of the prompt and of the model's own answer, on
average over that answer's tokens, and the last token of the sycophantic and of the (first) other
answer forced after the prompt."""
FORCED = ("prompt", "matching", "not_matching")
"""Those that need nothing of the model's own."""
MATERIAL = "extract"
"""The split of questions that vectors are made from."""


def token_position(number: int) -> str:
    """The name of the position at a token of the continuation, 1 its first."""
    return f"token_{number}"


@dataclass(frozen=True)
class ReadingSettings:
    """How the model is run (`reading` in params.yaml)."""

    max_new_tokens: int
    """Longest continuation."""
    stop: Literal["answer", "turn"]
    """The continuation ends where an `answer` is complete, or with the model's `turn`."""
    wordings: Literal["written", "any"] = "written"
    """The answers' probabilities: as they are `written` in the source, or in `any` wording."""
    tokens: list[int] = field(default_factory=list)
    """Tokens of the continuation, 1 its first, whose states are kept too; not of questions that
    vectors are made from (those of the split `extract`)."""
    last_layer: int | Literal["last"] = "last"
    """The highest one whose states are kept, counted from 0."""
    batch_tokens: int | Literal["auto"] = "auto"
    """Tokens of prompts in memory at a time; halved where memory runs out. No difference to the
    result, nor has the next one."""
    share_beginnings: bool = True
    """Whether what several prompts begin with is run once."""

    def __post_init__(self) -> None:
        for key in ("max_new_tokens", "batch_tokens"):
            value = getattr(self, key)
            if value != "auto" and value < 1:
                raise InputError(f"params.yaml: reading.{key}: expected at least 1, found {value}")
        if self.last_layer != "last" and self.last_layer < 0:
            raise InputError(
                f"params.yaml: reading.last_layer: expected at least 0, found {self.last_layer}"
            )
        if self.tokens != sorted({each for each in self.tokens if each > 0}):
            raise InputError(
                "params.yaml: reading.tokens: expected numbers from 1, each once and in order, "
                f"found {self.tokens}"
            )


@dataclass(frozen=True)
class Response:
    """What a model did with one question."""

    id: str
    prompt_tokens: int
    continuation: str = ""
    """Empty, and all below None, where only the states of forced answers were wanted."""
    answer: str | None = None
    """Letter of the answer found in the continuation."""
    logprobs: list[float] | None = None
    """Log-probability of each choice's answer as written, all its tokens, after the prompt."""
    any_logprobs: list[float] | None = None
    """Log-probability of each choice's answer in any wording, where that was asked for."""
    spoken: list[str] = field(default_factory=list)
    """What of the continuation is there after each of `reading.tokens`, as far as it goes."""


@dataclass(frozen=True)
class Kept:
    """The residual stream at one position."""

    rows: list[int]
    """The questions that have this position, by their place in the batch."""
    states: np.ndarray
    """(layers, rows, d_model), in the model's dtype (bfloat16 as its 16 bits)."""


@dataclass(frozen=True)
class BatchReading:
    """What one batch gives."""

    states: dict[str, Kept]
    """Those of `POSITIONS`, and `token_1`, `token_2`, ... for `reading.tokens`."""
    responses: list[Response]
    prompt_tokens_run: int
    """Of the prompts, what several begin with counted once, padding included."""


def layers_of(language_model: LanguageModel, settings: ReadingSettings) -> range:
    """The layers whose states are kept. InputError for one that the model does not have."""
    depth = language_model.model.config.get_text_config().num_hidden_layers
    last = depth - 1 if settings.last_layer == "last" else settings.last_layer
    if last >= depth:
        raise InputError(
            f"params.yaml: reading.last_layer: expected 0 to {depth - 1}, found {last}"
        )
    return range(last + 1)


@torch.inference_mode()
def read_batch(
    language_model: LanguageModel,
    rows: Sequence[Row],
    prompts: Sequence[Tokens],
    settings: ReadingSettings,
) -> BatchReading:
    """Everything this pipeline wants to know of the model about `rows` (token ids: `prompts`)."""
    layers = layers_of(language_model, settings)
    written = [_encoded(language_model, row, row.answers) for row in rows]
    ways, counts = _in_any_wording(language_model, rows) if settings.wordings == "any" else ([], [])
    room = max(room_for(written), room_for(ways), settings.max_new_tokens)
    prefilled = prefill(language_model, prompts, room, layers, settings.share_beginnings)
    model = language_model.model
    names = POSITIONS + tuple(map(token_position, settings.tokens))
    held = torch.empty(
        len(names), *prefilled.states.shape, dtype=model.dtype, device=prefilled.states.device
    )
    states = dict(zip(names, held, strict=True))
    states["prompt"][:] = prefilled.states
    said = Continuations(
        language_model, rows, layers, settings.tokens, settings.max_new_tokens, settings.stop
    )
    logprobs = []
    for place, (answer, found) in enumerate(
        answer_each(language_model, prefilled, written, layers)
    ):
        logprobs.append(found)
        for position, letters in (
            ("matching", [row.matching for row in rows]),
            ("not_matching", [row.not_matching[0] for row in rows]),
        ):
            at = [
                n
                for n, row in enumerate(rows)
                if place < len(row.choices) and row.choices[place][0] == letters[n]
            ]
            ends = torch.tensor([len(written[n][place]) - 1 for n in at], dtype=torch.long)
            states[position][:, at] = answer.states[:, at, ends]
        drafts = [each[place] if place < len(each) else [] for each in written]
        said.take(answer, drafts)
    in_any = _summed(answer_logprobs(language_model, prefilled, ways), counts) if ways else None
    said.run(prefilled)
    states["continuation"][:] = said.last
    states["continuation_mean"][:] = said.mean
    for number in settings.tokens:
        states[token_position(number)][:] = said.at[number]
    responses = [
        _response(language_model, row, len(prompts[n]), said.said[n], settings.tokens)
        for n, row in enumerate(rows)
    ]
    answered = by_row(logprobs, written)
    return BatchReading(
        _kept(held, names, rows, [len(each) for each in said.said]),
        [
            replace(response, logprobs=answered[n], any_logprobs=in_any[n] if in_any else None)
            for n, response in enumerate(responses)
        ],
        prefilled.tokens_run,
    )


@torch.inference_mode()
def read_answers(
    language_model: LanguageModel,
    rows: Sequence[Row],
    prompts: Sequence[Tokens],
    settings: ReadingSettings,
) -> BatchReading:
    """The states at `matching` and `not_matching` and nothing else: the model says nothing of its
    own, and no layer is run above those that are kept."""
    layers = layers_of(language_model, settings)
    pairs = [
        _encoded(language_model, row, [row.answer_of(row.matching), row.answer_of(other)])
        for row, other in ((row, row.not_matching[0]) for row in rows)
    ]
    prefilled = prefill(
        language_model, prompts, room_for(pairs), layers, settings.share_beginnings, layers[-1]
    )
    found = states_of_answers(language_model, prefilled, pairs, layers)
    held = torch.stack([prefilled.states, *found])
    return BatchReading(
        _kept(held, FORCED, rows, [0] * len(rows)),
        [Response(row.id, len(prompt)) for row, prompt in zip(rows, prompts, strict=True)],
        prefilled.tokens_run,
    )


def _encoded(language_model: LanguageModel, row: Row, answers: Sequence[str]) -> list[list[int]]:
    """Token ids of answers to `row`. InputError for one without a token."""
    found = [language_model.encode(answer) for answer in answers]
    if not all(found):
        raise InputError(f"question {row.id}: an answer without a token; expected some text")
    return found


def _response(
    language_model: LanguageModel, row: Row, tokens: int, said: list[int], numbers: Sequence[int]
) -> Response:
    """What was said, and the answer in it."""
    text = language_model.decode(said)
    found = find_answer(text, list(row.choices), row.form)
    return Response(
        id=row.id,
        prompt_tokens=tokens,
        continuation=text,
        answer=found.letter if found else None,
        spoken=[language_model.decode(said[:n]) for n in numbers if n <= len(said)],
    )


def _kept(
    held: Tensor, names: Sequence[str], rows: Sequence[Row], said: Sequence[int]
) -> dict[str, Kept]:
    """States (positions, layers, rows, d_model) by position, of the rows that have it.

    InputError for one that is not finite.
    """
    finite = held.isfinite().all(-1)
    if not finite.all():
        position, layer, row = (int(n) for n in (~finite).nonzero()[0])
        raise InputError(
            f"question {rows[row].id}, layer {layer}, {names[position]}: the model overflows in "
            f"{str(held.dtype).removeprefix('torch.')}; set another dtype in params.yaml"
        )
    states = raw(held)
    found = {}
    for n, name in enumerate(names):
        if name in POSITIONS:
            found[name] = Kept([*range(len(rows))], states[n])
            continue
        number = int(name.removeprefix("token_"))
        there = [k for k, row in enumerate(rows) if said[k] >= number and row.split != MATERIAL]
        if there:
            found[name] = Kept(there, states[n][:, there])
    return found


def raw(states: Tensor) -> np.ndarray:
    """As numpy has it, which knows no bfloat16 and gets its bits."""
    return (states.view(torch.uint16) if states.dtype == torch.bfloat16 else states).cpu().numpy()


def _in_any_wording(
    language_model: LanguageModel, rows: Sequence[Row]
) -> tuple[list[list[tuple[int, ...]]], list[list[int]]]:
    """Token ids of every way to say any of a row's answers; how many are of each choice."""
    ways: list[list[tuple[int, ...]]] = []
    counts: list[list[int]] = []
    for row in rows:
        each = [
            without_continuations(
                language_model.encode(text) for text in wordings(said, letter, body, row.form)
            )
            for (letter, body), said in zip(row.choices, row.answers, strict=True)
        ]
        ways.append([way for choice in each for way in choice])
        counts.append([len(choice) for choice in each])
    return ways, counts


def _summed(logprobs: list[list[float]], counts: list[list[int]]) -> list[list[float]]:
    """Log-probability of each choice of each row, in whatever way."""
    return [
        [float(np.logaddexp.reduce(part)) for part in np.split(row, np.cumsum(count)[:-1])]
        for row, count in zip(logprobs, counts, strict=True)
    ]
