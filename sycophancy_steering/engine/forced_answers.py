"""Answers put into a model's mouth: the states they leave, and how likely it finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import Prefilled, at_once, followed, keep_layers
from sycophancy_steering.engine.residual_stream import See

Answers = Sequence[Sequence[Sequence[int]]]
"""Token ids of each row's own number of answers."""


@dataclass(frozen=True)
class Said:
    """One answer of each row, token by token."""

    states: Tensor
    """(layers, rows, tokens, d_model); rubbish where an answer is shorter."""
    likeliest: list[list[int]]
    """What the model would have said at each token of each row, and after the last."""


def padded(rows: Sequence[Sequence[int]], device: object) -> tuple[Tensor, Tensor]:
    """Ids and mask (rows, tokens); padded places hold id 0, which the mask hides."""
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for n, row in enumerate(rows):
        ids[n, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[n, : len(row)] = 1
    return ids.to(str(device)), mask.to(str(device))


def room_for(answers: Answers) -> int:
    """Tokens of the longest answer."""
    return max((len(each) for row in answers for each in row), default=0)


def answer_each(
    language_model: LanguageModel, prefilled: Prefilled, answers: Answers, layers: Sequence[int]
) -> Iterator[tuple[Said, Tensor]]:
    """Every row's first answer, every row's second, and so on, each after the same prompt: its
    states, and its log-probability (rows,); both rubbish where a row has no such answer."""
    device = prefilled.logits.device
    first = prefilled.logits.log_softmax(-1)
    every = torch.arange(len(first), device=device)
    for ids in _one_after_another(answers):
        tokens, mask = padded(ids, device)
        shape = len(layers), *tokens.shape, language_model.width
        states = torch.empty(shape, dtype=language_model.model.dtype, device=device)
        logprobs, likeliest = [], [first.argmax(-1)[:, None]]
        for rows in _slices(tokens, device):
            see = keep_layers(layers, states, rows, slice(None))
            hidden = followed(language_model, prefilled, rows, 0, tokens[rows], mask[rows], see)
            assert hidden is not None
            following = tokens[rows].roll(-1, dims=1)
            found, best = _told(language_model, hidden.flatten(0, 1), following.flatten())
            logprobs.append(found.view(following.shape)[:, :-1])
            likeliest.append(best.view(following.shape))
        later = (torch.cat(logprobs) * mask[:, 1:]).sum(-1)
        best = torch.cat([likeliest[0], torch.cat(likeliest[1:])], dim=1)
        yield Said(states, best.tolist()), first[every, tokens[:, 0]] + later


def _told(language_model: LanguageModel, hidden: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of the tokens `said` (n,) after `hidden` (n, d_model), and the likeliest
    ones."""
    logprobs, likeliest = [], []
    # As many at a time as leave a vocabulary of a quarter of a million in memory.
    for some, next_token in zip(hidden.split(1024), said.split(1024), strict=True):
        logits = language_model.logits(some)
        found = logits.gather(-1, next_token[:, None]).squeeze(-1) - logits.logsumexp(-1)
        logprobs.append(found)
        likeliest.append(logits.argmax(-1))
    return torch.cat(logprobs), torch.cat(likeliest)


def states_of_answers(
    language_model: LanguageModel, prefilled: Prefilled, answers: Answers, layers: Sequence[int]
) -> Iterator[Tensor]:
    """As `answer_each`, the states (layers, rows, d_model) at each answer's last token and nothing
    else: no layer is run above those of `layers`."""
    device = prefilled.states.device
    for ids in _one_after_another(answers):
        tokens, mask = padded(ids, device)
        shape = len(layers), len(ids), language_model.width
        states = torch.empty(shape, dtype=language_model.model.dtype, device=device)
        for rows in _slices(tokens, device):
            see: See = keep_layers(layers, states, rows, mask[rows].sum(-1) - 1)
            followed(language_model, prefilled, rows, 0, tokens[rows], mask[rows], see, max(layers))
        yield states


def answer_logprobs(
    language_model: LanguageModel, prefilled: Prefilled, answers: Answers
) -> list[list[float]]:
    """The log-probabilities of each row's answers; no token is run that tells nothing."""
    first = prefilled.logits.log_softmax(-1)
    device, rows = first.device, torch.arange(len(answers), device=first.device)
    logprobs = []
    for ids in _one_after_another(answers):
        tokens, mask = padded(ids, device)
        total = first[rows, tokens[:, 0]]
        if tokens.shape[1] > 1:
            total = total + _later_tokens(language_model, prefilled, tokens, mask)
        logprobs.append(total)
    return by_row(logprobs, answers)


def _later_tokens(
    language_model: LanguageModel, prefilled: Prefilled, tokens: Tensor, mask: Tensor
) -> Tensor:
    """Log-probability (rows,) of all tokens of the answers but their first."""
    found = []
    for rows in _slices(tokens[:, 1:], tokens.device):
        hidden = followed(
            language_model,
            prefilled,
            rows,
            0,
            tokens[rows, :-1],
            mask[rows, :-1],
            lambda _layer, _hidden: None,
        )
        assert hidden is not None
        # The head runs on the tokens that are there, not on the padding after short answers.
        there = mask[rows, 1:].bool()
        said, _ = _told(language_model, hidden[there], tokens[rows, 1:][there])
        total = torch.zeros(there.shape, device=said.device)
        total[there] = said
        found.append(total.sum(-1))
    return torch.cat(found)


def _slices(tokens: Tensor, device: object) -> Iterator[slice]:
    """Rows of `tokens` (rows, tokens), as many at a time as one pass takes."""
    count, width = tokens.shape
    size = max(1, at_once(device) // width)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _one_after_another(answers: Answers) -> Iterator[list[Sequence[int]]]:
    """Every row's first answer, every row's second, and so on."""
    for place in range(max(len(each) for each in answers)):
        # Rows with fewer answers run another's, and nobody looks at the result.
        spare = next(each[place] for each in answers if place < len(each))
        yield [each[place] if place < len(each) else spare for each in answers]


def by_row(logprobs: Sequence[Tensor], answers: Answers) -> list[list[float]]:
    """What was found answer by answer (each (rows,)), row by row and without the spare ones."""
    every = torch.stack(list(logprobs), dim=1).cpu().double().tolist()
    return [found[: len(each)] for found, each in zip(every, answers, strict=True)]
