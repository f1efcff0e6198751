"""One pass of a model over a batch of questions: states, log-probabilities, its own continuation.

The prompt is run once, with its cache. Every answer, the forced ones and the model's own, is then a
few more tokens after that cache. Padding may stand on either side: positions are counted
over real tokens and padded ones are masked, so the result is that of a pass without padding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from lib.answers import find_answer, without_continuations, wordings
from lib.language_model import LanguageModel
from lib.question import Row
from lib.refusal import Refusal
from lib.residual_stream import States, reading

POSITIONS = ("prompt", "continuation", "continuation_mean", "matching", "not_matching")
"""Where the residual stream is read: the last token of the prompt and of the model's own answer, on
average over that answer's tokens, and the last token of the sycophantic and of the (first) other
answer forced after the prompt."""
MATERIAL = "extract"
"""The split of questions that vectors are made from."""


def token_position(number: int) -> str:
    """The name of the position at a token of the continuation, 1 its first."""
    return f"token_{number}"


@dataclass(frozen=True)
class ReadingSettings:
    """How the model is run (`reading` in params.yaml)."""

    batch_size: int
    padding_side: Literal["left", "right"]
    """No difference to the result."""
    max_new_tokens: int
    """Longest continuation."""
    stop: Literal["answer", "turn"]
    """The continuation ends where an `answer` is complete, or with the model's `turn`."""
    wordings: Literal["written", "any"] = "written"
    """The answers' probabilities: as they are `written` in the source, or in `any` wording."""
    tokens: list[int] = field(default_factory=list)
    """Tokens of the continuation, 1 its first, whose states are kept too; not of questions that
    vectors are made from (those of the split `extract`)."""

    def __post_init__(self) -> None:
        for key in ("batch_size", "max_new_tokens"):
            if (value := getattr(self, key)) < 1:
                raise Refusal(f"params.yaml: reading.{key}: expected at least 1, found {value}")
        if self.tokens != sorted({each for each in self.tokens if each > 0}):
            raise Refusal(
                "params.yaml: reading.tokens: expected numbers from 1, each once and in order, "
                f"found {self.tokens}"
            )


@dataclass(frozen=True)
class Response:
    """What a model did with one question."""

    id: str
    prompt_tokens: int
    continuation: str
    answer: str | None
    """Letter of the answer found in the continuation."""
    logprobs: list[float]
    """Log-probability of each choice's answer as written, all its tokens, after the prompt."""
    any_logprobs: list[float] | None
    """Log-probability of each choice's answer in any wording, where that was asked for."""
    spoken: list[str]
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


@dataclass(frozen=True)
class Prefilled:
    """Prompts that have been run."""

    cache: DynamicCache
    mask: Tensor
    """(rows, tokens): 1 where there is a token, 0 where there is padding, all of it before."""
    logits: Tensor
    """(rows, vocabulary), float32: what comes after each prompt."""
    states: Tensor
    """(layers, rows, d_model) at the last token of each prompt."""


def length_sorted_batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices in batches of `size`, alike in length, longest first (memory runs out early, if)."""
    order = sorted(range(len(lengths)), key=lambda n: (-lengths[n], n))
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.inference_mode()
def read_batch(
    language_model: LanguageModel,
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    settings: ReadingSettings,
) -> BatchReading:
    """Everything this pipeline wants to know of the model about `rows` (token ids: `prompts`)."""
    prefilled = prefill(language_model, prompts, settings.padding_side)
    written = [[language_model.encode(answer) for answer in row.answers] for row in rows]
    if empty := [row.id for row, each in zip(rows, written, strict=True) if not all(each)]:
        raise Refusal(f"question {empty[0]}: an answer without a token; expected some text")
    forced, logprobs = answer_each(language_model, prefilled, written)
    said = _generate(language_model, prefilled, rows, settings)
    continued, _ = answer(language_model, prefilled, said, averaged=True, also=settings.tokens)
    place_of = [{letter: n for n, (letter, _) in enumerate(row.choices)} for row in rows]
    matching = [place_of[n][row.matching] for n, row in enumerate(rows)]
    other = [place_of[n][row.not_matching[0]] for n, row in enumerate(rows)]
    every = torch.arange(len(rows), device=forced.device)
    everywhere = (
        prefilled.states,
        continued.values,
        continued.means,
        forced[torch.tensor(matching), :, every].transpose(0, 1),
        forced[torch.tensor(other), :, every].transpose(0, 1),
    )
    states = {
        position: Kept([*range(len(rows))], _raw(values))
        for position, values in zip(POSITIONS, everywhere, strict=True)
    }
    for number in settings.tokens:
        spoken = [
            n for n, row in enumerate(rows) if len(said[n]) >= number and row.split != MATERIAL
        ]
        if spoken:
            values = continued.at[number - 1][:, torch.tensor(spoken)]
            states[token_position(number)] = Kept(spoken, _raw(values))
    in_any: list[list[float]] | list[None] = [None] * len(rows)
    if settings.wordings == "any":
        in_any = _in_any_wording(language_model, prefilled, rows)
    responses = []
    for n, row in enumerate(rows):
        text = language_model.decode(said[n])
        found = find_answer(text, list(row.choices), row.form)
        responses.append(
            Response(
                id=row.id,
                prompt_tokens=len(prompts[n]),
                continuation=text,
                answer=found.letter if found else None,
                logprobs=logprobs[n],
                any_logprobs=in_any[n],
                spoken=[
                    language_model.decode(said[n][:number])
                    for number in settings.tokens
                    if number <= len(said[n])
                ],
            )
        )
    return BatchReading(states, responses)


def _raw(states: Tensor) -> np.ndarray:
    """As numpy has it, which knows no bfloat16."""
    states = states.view(torch.uint16) if states.dtype == torch.bfloat16 else states
    return states.cpu().numpy()


def _in_any_wording(
    language_model: LanguageModel, prefilled: Prefilled, rows: Sequence[Row]
) -> list[list[float]]:
    """Log-probability of each choice of each row in any of its `wordings`."""
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
    logprobs = answer_logprobs(language_model, prefilled, ways)
    return [
        [float(np.logaddexp.reduce(part)) for part in np.split(row, np.cumsum(count)[:-1])]
        for row, count in zip(logprobs, counts, strict=True)
    ]


def answer_each(
    language_model: LanguageModel,
    prefilled: Prefilled,
    answers: Sequence[Sequence[Sequence[int]]],
) -> tuple[Tensor, list[list[float]]]:
    """Each row's own number of answers, one after another on the same cache.

    The states at their last tokens (answers, layers, rows, d_model), rubbish where a row has no
    such answer; and the log-probabilities of each row's answers.
    """
    states, logprobs = [], []
    for ids in _one_after_another(answers):
        read, found = answer(language_model, prefilled, ids)
        states.append(read.values)
        logprobs.append(found)
    return torch.stack(states), _by_row(logprobs, answers)


def answer_logprobs(
    language_model: LanguageModel,
    prefilled: Prefilled,
    answers: Sequence[Sequence[Sequence[int]]],
) -> list[list[float]]:
    """The log-probabilities of each row's answers; no token is run that tells nothing."""
    first = prefilled.logits.log_softmax(-1)
    rows, logprobs = torch.arange(len(answers), device=first.device), []
    for ids in _one_after_another(answers):
        padded, mask = _padded(ids, "right", first.device)
        total = first[rows, padded[:, 0]]
        if padded.shape[1] > 1:
            with continued(language_model, prefilled, padded[:, :-1], mask[:, :-1]) as output:
                after = output.logits.float().log_softmax(-1)
            each = after.gather(-1, padded[:, 1:, None]).squeeze(-1)
            total = total + (each * mask[:, 1:]).sum(-1)
        logprobs.append(total)
    return _by_row(logprobs, answers)


def _one_after_another(
    answers: Sequence[Sequence[Sequence[int]]],
) -> Iterator[list[Sequence[int]]]:
    """Every row's first answer, every row's second, and so on."""
    for place in range(max(len(each) for each in answers)):
        # Rows with fewer answers run another's, and nobody looks at the result.
        spare = next(each[place] for each in answers if place < len(each))
        yield [each[place] if place < len(each) else spare for each in answers]


def _by_row(logprobs: Sequence[Tensor], answers: Sequence[Sequence[object]]) -> list[list[float]]:
    """What was found answer by answer (each (rows,)), row by row and without the spare ones."""
    every = torch.stack(list(logprobs), dim=1).cpu().double().tolist()
    return [found[: len(each)] for found, each in zip(every, answers, strict=True)]


def _padded(rows: Sequence[Sequence[int]], side: str, device: object) -> tuple[Tensor, Tensor]:
    """Ids and mask (rows, tokens); padded places hold id 0, which the mask hides."""
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for n, row in enumerate(rows):
        place = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[n, place] = torch.tensor(row, dtype=torch.long)
        mask[n, place] = 1
    return ids.to(str(device)), mask.to(str(device))


def prefill(
    language_model: LanguageModel, prompts: Sequence[Sequence[int]], side: str
) -> Prefilled:
    """Runs prompts (token ids), padded on either side."""
    model = language_model.model
    ids, mask = _padded(prompts, side, model.device)
    places = torch.arange(ids.shape[1], device=ids.device)
    last = (mask * places).argmax(-1)
    cache = DynamicCache()  # every token of every layer, also where attention has a window
    wanted = last.unique()  # the head runs on these tokens only; with left padding it is just one
    with reading(model, last) as states:
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=wanted,
        )
    rows = torch.arange(len(prompts), device=ids.device)
    logits = output.logits[rows, torch.searchsorted(wanted, last)].float()
    return Prefilled(cache, _move_to_the_end(cache, mask), logits, states.values)


def _move_to_the_end(cache: DynamicCache, mask: Tensor) -> Tensor:
    """Moves the prompts of a cache to the end of their rows, and gives the mask that then holds.

    With right padding there would be a gap between a prompt and its answer, and attention that
    looks back over a window counts the gap. Keys know their positions, so they can be moved.
    """
    tokens = mask.shape[1]
    gap = tokens - 1 - (mask * torch.arange(tokens, device=mask.device)).argmax(-1, keepdim=True)
    if not gap.any():
        return mask
    source = (torch.arange(tokens, device=mask.device) - gap) % tokens
    for layer in cast(list[Any], cache.layers):
        place = source[:, None, :, None].to(layer.keys.device)
        layer.keys = layer.keys.take_along_dim(place, dim=2)
        layer.values = layer.values.take_along_dim(place, dim=2)
    return mask.take_along_dim(source, dim=1)


@contextmanager
def continued(
    language_model: LanguageModel, prefilled: Prefilled, ids: Tensor, mask: Tensor
) -> Iterator[Any]:
    """What the model gives for more tokens after the prompts; the cache is then as it was."""
    before = prefilled.mask.sum(-1, keepdim=True)
    yield language_model.model(
        input_ids=ids,
        attention_mask=torch.cat([prefilled.mask, mask], dim=1),
        position_ids=before + torch.arange(ids.shape[1], device=ids.device),
        past_key_values=prefilled.cache,
        use_cache=True,
    )
    prefilled.cache.crop(-ids.shape[1])


def answer(
    language_model: LanguageModel,
    prefilled: Prefilled,
    answers: Sequence[Sequence[int]],
    averaged: bool = False,
    also: Sequence[int] = (),
) -> tuple[States, Tensor]:
    """States at the last token of each answer, `averaged` over it, and at its tokens `also` (from
    1, as far as the longest goes; rubbish where an answer is shorter); log-probabilities."""
    model = language_model.model
    ids, mask = _padded(answers, "right", model.device)
    there = [number - 1 for number in also if number <= ids.shape[1]]
    with (
        reading(model, mask.sum(-1) - 1, mask if averaged else None, there) as states,
        continued(language_model, prefilled, ids, mask) as output,
    ):
        logits = torch.cat([prefilled.logits[:, None], output.logits[:, :-1].float()], dim=1)
    each = logits.log_softmax(-1).gather(-1, ids[..., None]).squeeze(-1)
    return states, (each * mask).sum(-1)


def _generate(
    language_model: LanguageModel,
    prefilled: Prefilled,
    rows: Sequence[Row],
    settings: ReadingSettings,
) -> list[list[int]]:
    """The likeliest continuation of each prompt, token by token; at least one token long."""
    model = language_model.model
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    cache, mask = copy.deepcopy(prefilled.cache), prefilled.mask
    logits, said = prefilled.logits, [[] for _ in rows]
    going = [True] * len(rows)
    for step in range(settings.max_new_tokens):
        token = logits.argmax(-1)
        for n, chosen in enumerate(token.tolist()):
            if not going[n]:
                continue
            going[n] = chosen not in ends
            if going[n] or not said[n]:  # an empty turn is read at its end-of-turn token
                said[n].append(chosen)
            if going[n] and settings.stop == "answer":
                text = language_model.decode(said[n])
                going[n] = not _complete(text, rows[n])
        if not any(going) or step + 1 == settings.max_new_tokens:
            break
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        output = model(
            input_ids=token[:, None],
            attention_mask=mask,
            position_ids=prefilled.mask.sum(-1, keepdim=True) + step,
            past_key_values=cache,
            use_cache=True,
        )
        logits = output.logits[:, -1].float()
    return said


def _complete(text: str, row: Row) -> bool:
    """Whether the answer in `text` is complete: a bracket closed, a text whole, not just an "A"."""
    found = find_answer(text, list(row.choices), row.form)
    return found is not None and (row.form == "free" or text[found.end - 1] == ")")
