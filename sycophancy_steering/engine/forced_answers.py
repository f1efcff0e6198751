"""Runs answers forced after prefilled prompts: their activations and log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sycophancy_steering.engine.following_tokens import FollowingTokens, run_following
from sycophancy_steering.engine.forward_pass import capture_layers, passes_by_length
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import PrefilledPrompts
from sycophancy_steering.engine.residual_stream import RowIndex, capture_nothing, row_index

Answers = Sequence[Sequence[Sequence[int]]]
"""Token ids of each row's answers; rows may have different numbers of answers."""
HEAD_TOKENS = 1024
"""Tokens whose logits are in memory at a time: room for a vocabulary of 250,000."""


@dataclass(frozen=True)
class ForcedAnswer:
    """One answer of each row; arbitrary where a row has none of this number."""

    activations: Tensor
    """(layers, rows, tokens, d_model); arbitrary after the end of an answer."""
    greedy_tokens: list[list[int]]
    """The likeliest token of each row in place of each of the answer's, and after its last."""
    logprobs: Tensor
    """(rows,), summed over the answer's tokens."""


def pad_right(rows: Sequence[Sequence[int]], device: object) -> tuple[Tensor, Tensor]:
    """Ids and attention mask (rows, tokens); padding has id 0 and is masked."""
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for n, row in enumerate(rows):
        ids[n, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[n, : len(row)] = 1
    return ids.to(str(device)), mask.to(str(device))


def longest_answer(answers: Answers) -> int:
    """Number of tokens of the longest answer; 0 without answers."""
    return max((len(answer) for row in answers for answer in row), default=0)


def run_forced_answers(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    answers: Answers,
    layers: Sequence[int],
) -> Iterator[ForcedAnswer]:
    """Every row's first answer, then every row's second, and so on, each after the same prompts."""
    device = prefilled.logits.device
    first_logprobs = prefilled.logits.log_softmax(-1)
    all_rows = torch.arange(len(first_logprobs), device=device)
    for answer_ids in _by_number(answers):
        tokens, mask = pad_right(answer_ids, device)
        shape = len(layers), *tokens.shape, language_model.d_model
        activations = torch.empty(shape, dtype=language_model.model.dtype, device=device)
        greedy = tokens.new_zeros(len(tokens), tokens.shape[1] + 1)
        greedy[:, 0] = first_logprobs.argmax(-1)
        total = first_logprobs[all_rows, tokens[:, 0]]
        for rows in _rows_by_length(mask.sum(-1)):
            width = int(mask[rows].sum(-1).max())
            ids, real = tokens[rows, :width], mask[rows, :width].bool()
            capture = capture_layers(layers, activations[:, :, :width], rows, slice(None))
            following = FollowingTokens(rows, 0, ids, mask[rows, :width])
            hidden = run_following(language_model, prefilled, following, capture)
            assert hidden is not None
            logprobs, likeliest = torch.zeros(ids.shape, device=device), torch.zeros_like(ids)
            logprobs[real], likeliest[real] = _next_token_logprobs(
                language_model, hidden[real], ids.roll(-1, dims=1)[real]
            )
            total[rows] += (logprobs[:, :-1] * real[:, 1:]).sum(-1)
            greedy[rows, 1 : width + 1] = likeliest
        yield ForcedAnswer(activations, greedy.tolist(), total)


def _next_token_logprobs(
    language_model: LanguageModel, hidden: Tensor, next_tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """Log-probability of each of `next_tokens` (n,) after `hidden` (n, d_model), and the likeliest
    token (n,)."""
    logprobs, likeliest = [], []
    for states, tokens in zip(
        hidden.split(HEAD_TOKENS), next_tokens.split(HEAD_TOKENS), strict=True
    ):
        logits = language_model.logits(states)
        logprobs.append(logits.gather(-1, tokens[:, None]).squeeze(-1) - logits.logsumexp(-1))
        likeliest.append(logits.argmax(-1))
    return torch.cat(logprobs), torch.cat(likeliest)


def forced_answer_activations(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    answers: Answers,
    layers: Sequence[int],
) -> Iterator[Tensor]:
    """Activations (layers, rows, d_model) at the last token of every row's first answer, then of
    its second, and so on. No layer above `layers` is run."""
    device = prefilled.activations.device
    for answer_ids in _by_number(answers):
        tokens, mask = pad_right(answer_ids, device)
        shape = len(layers), len(answer_ids), language_model.d_model
        activations = torch.empty(shape, dtype=language_model.model.dtype, device=device)
        for rows in _rows_by_length(mask.sum(-1)):
            lengths = mask[rows].sum(-1)
            width = int(lengths.max())
            capture = capture_layers(layers, activations, rows, lengths - 1)
            following = FollowingTokens(rows, 0, tokens[rows, :width], mask[rows, :width])
            run_following(language_model, prefilled, following, capture, max(layers))
        yield activations


def answer_logprobs(
    language_model: LanguageModel, prefilled: PrefilledPrompts, answers: Answers
) -> list[list[float]]:
    """The log-probabilities of each row's answers; an answer's last token is not run."""
    first_logprobs = prefilled.logits.log_softmax(-1)
    device = first_logprobs.device
    all_rows = torch.arange(len(answers), device=device)
    by_number = [pad_right(answer_ids, device) for answer_ids in _by_number(answers)]
    totals = torch.stack([first_logprobs[all_rows, tokens[:, 0]] for tokens, _ in by_number])
    lengths = torch.stack([mask.sum(-1) for _, mask in by_number]).amax(0) - 1
    places, hidden_states, next_tokens = [], [], []
    for rows in _rows_by_length(lengths):
        for number, (tokens, mask) in enumerate(by_number):
            if int(mask[rows].sum(-1).max()) == 1:
                continue
            n_run, hidden, following = _run_answer(language_model, prefilled, rows, tokens, mask)
            places.append(number * len(answers) + all_rows[rows].repeat_interleave(n_run))
            hidden_states.append(hidden)
            next_tokens.append(following)
    if places:
        # The head, often the largest matrix, is read once for all answers.
        logprobs, _ = _next_token_logprobs(
            language_model, torch.cat(hidden_states), torch.cat(next_tokens)
        )
        totals.view(-1).index_add_(0, torch.cat(places), logprobs)
    return logprobs_by_row([*totals], answers)


def _run_answer(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    rows: RowIndex,
    tokens: Tensor,
    mask: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs all tokens of one answer of `rows` but the last: how many each row has; and of all of
    them, row after row, the last hidden states (n, d_model) and the tokens that follow (n,)."""
    lengths = mask[rows].sum(-1) - 1
    width = int(lengths.max())
    ids, real = tokens[rows, : width + 1], mask[rows, 1 : width + 1].bool()
    following = FollowingTokens(rows, 0, ids[:, :-1], mask[rows, :width])
    hidden = run_following(language_model, prefilled, following, capture_nothing)
    assert hidden is not None
    return lengths, hidden[real], ids[:, 1:][real]


def _rows_by_length(lengths: Tensor) -> Iterator[RowIndex]:
    """Rows with a token to run, in groups of similar length, one a pass."""
    rows = lengths.nonzero()[:, 0].tolist()
    for of_pass in passes_by_length(lengths[rows].tolist(), lengths.device):
        yield row_index([rows[n] for n in of_pass], lengths.device)


def _by_number(answers: Answers) -> Iterator[list[Sequence[int]]]:
    """Every row's first answer, then every row's second, and so on. A row with fewer answers gets
    another row's, whose results are discarded."""
    for number in range(max(len(row) for row in answers)):
        filler = next(row[number] for row in answers if number < len(row))
        yield [row[number] if number < len(row) else filler for row in answers]


def logprobs_by_row(logprobs: Sequence[Tensor], answers: Answers) -> list[list[float]]:
    """Log-probabilities of each row's answers, from tensors (rows,) by number of the answer."""
    if not logprobs:
        return [[] for _ in answers]
    rows = torch.stack(list(logprobs), dim=1).cpu().double().tolist()
    return [row[: len(own)] for row, own in zip(rows, answers, strict=True)]
