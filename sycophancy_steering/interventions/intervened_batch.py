"""What a worker does: one batch of chats under many interventions.

An intervention at a prompt's last token, or after it, leaves everything before that token
unchanged. So a batch of prompts is run once without an intervention; then, for each intervention,
only the last token and the answers are run, from the lowest changed layer on. Under interventions
at every token the prompts are run again, from that layer on too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sycophancy_steering.activations.prompts import answer_is_complete
from sycophancy_steering.engine.following_tokens import FollowingTokens, run_following
from sycophancy_steering.engine.forced_answers import answer_logprobs, longest_answer
from sycophancy_steering.engine.forward_pass import capture_layers
from sycophancy_steering.engine.generation import Continuations, ContinuationSettings
from sycophancy_steering.engine.intervention import Intervention
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.lower_layers import LowerLayersCache
from sycophancy_steering.engine.prefill import PrefilledPrompts, prefill
from sycophancy_steering.engine.prompt import Prompt, TokenIds
from sycophancy_steering.engine.workers import HeldModel
from sycophancy_steering.questions.question import Row


@dataclass(frozen=True)
class ChatBatch:
    """Chats that are run together."""

    prompts: Sequence[TokenIds]
    answers: Sequence[Sequence[Sequence[int]]]
    """Token ids of the possible answers of each."""
    rows: Sequence[Row] = ()
    """The questions, where answers are generated."""


@dataclass(frozen=True)
class _Passes:
    """What the passes over one batch of prompts are for."""

    interventions: Sequence[Intervention]
    n_following: int
    """Tokens that will be run after each prompt, at most."""
    layers: Sequence[int] = ()
    """Layers whose activations at the last token are captured."""
    same_following_tokens: bool = True
    """Whether the same tokens follow the prompts under every intervention."""


@torch.inference_mode()
def answers_under(
    model: HeldModel, batch: ChatBatch, interventions: Sequence[Intervention], layers: Sequence[int]
) -> Iterator[tuple[int, tuple[NDArray[np.float32], list[list[float]]]]]:
    """Yields the index of an intervention, the activations (layers, chats, d_model) at the prompts'
    last tokens, and the log-probability of each answer of each chat."""
    passes = _Passes(interventions, longest_answer(batch.answers), layers)
    for number, intervened, prefilled in _prefilled(model.language_model, batch.prompts, passes):
        activations = prefilled.activations.float().cpu().numpy()
        yield number, (activations, answer_logprobs(intervened, prefilled, batch.answers))


@torch.inference_mode()
def activations_under(
    model: HeldModel, batch: ChatBatch, interventions: Sequence[Intervention], layers: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yields the index of an intervention, and these activations alone."""
    passes = _Passes(interventions, 1, layers)
    for number, _, prefilled in _prefilled(model.language_model, batch.prompts, passes):
        yield number, prefilled.activations.float().cpu().numpy()


@torch.inference_mode()
def continuations_under(
    model: HeldModel, batch: ChatBatch, interventions: Sequence[Intervention], max_new_tokens: int
) -> Iterator[tuple[int, list[str]]]:
    """Yields the index of an intervention, and what the model says to each question."""
    prompts = [
        Prompt(row.id, token_ids, is_complete=partial(answer_is_complete, row))
        for row, token_ids in zip(batch.rows, batch.prompts, strict=True)
    ]
    passes = _Passes(interventions, max_new_tokens, same_following_tokens=False)
    for number, intervened, prefilled in _prefilled(model.language_model, batch.prompts, passes):
        continuations = Continuations(intervened, prompts, (), ContinuationSettings(max_new_tokens))
        continuations.generate(prefilled)
        yield number, [intervened.decode(ids) for ids in continuations.token_ids]


def _prefilled(
    unchanged_model: LanguageModel, prompts: Sequence[TokenIds], passes: _Passes
) -> Iterator[tuple[int, LanguageModel, PrefilledPrompts]]:
    """Yields the index of an intervention, the model under it, and the prompts, which are valid
    until the next is yielded."""
    last_tokens = torch.tensor([[int(prompt[-1])] for prompt in prompts])
    unchanged: PrefilledPrompts | None = None
    changes_prompts = [
        intervention.where == "every" and bool(intervention.changes)
        for intervention in passes.interventions
    ]
    lowest = [min(intervention.changes, default=-1) for intervention in passes.interventions]
    lower_layers: LowerLayersCache | None = None
    held_for: tuple[bool, int] | None = None
    # Interventions on every token go last, as they overwrite the shared keys and values. Both
    # kinds are sorted by lowest layer, so that one cache of lower layers is held at a time.
    order = [*zip(changes_prompts, lowest, strict=True)]
    for n in sorted(range(len(order)), key=order.__getitem__):
        model = replace(unchanged_model, intervention=passes.interventions[n])
        reusable = 0 <= lowest[n] <= min(passes.layers, default=lowest[n])
        if passes.same_following_tokens and reusable:
            if lower_layers is None or held_for != order[n]:
                lower_layers, held_for = LowerLayersCache(lowest[n]), order[n]
            model = replace(model, lower_layers=lower_layers.rewind())
        if changes_prompts[n]:
            prefilled = prefill(model, prompts, passes.n_following, passes.layers)
        else:
            if unchanged is None:
                unchanged = prefill(unchanged_model, prompts, passes.n_following, passes.layers)
            prefilled = unchanged
        # Rerun without an intervention too, so that adding nothing changes no bit.
        yield n, model, rerun_last_tokens(model, prefilled, last_tokens, passes.layers)


def rerun_last_tokens(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    last_tokens: Tensor,
    layers: Sequence[int] = (),
) -> PrefilledPrompts:
    """`prefilled` with each prompt's last token, `last_tokens` (rows, 1), replaced by a run under
    the model's intervention."""
    intervention = language_model.intervention
    at_prompt_end = Intervention({} if intervention.where == "answer" else intervention.changes)
    device, n_rows = prefilled.lengths.device, len(last_tokens)
    activations = prefilled.activations.new_empty(len(layers), n_rows, language_model.d_model)
    hidden = run_following(
        replace(language_model, intervention=at_prompt_end),
        prefilled,
        FollowingTokens(
            slice(0, n_rows),
            -1,
            last_tokens.to(device),
            torch.ones(n_rows, 0, dtype=torch.long, device=device),
        ),
        capture_layers(layers, activations, slice(0, n_rows), -1),
    )
    assert hidden is not None
    logits = language_model.logits(hidden[:, -1])
    return replace(prefilled, logits=logits, activations=activations)
