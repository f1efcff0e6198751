"""Runs tokens that follow prefilled prompts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sycophancy_steering.engine.forward_pass import last_hidden_states
from sycophancy_steering.engine.kv_cache import PassWindow
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefill import PrefilledPrompts
from sycophancy_steering.engine.residual_stream import Capture, RowIndex, StreamHooks


@dataclass(frozen=True)
class FollowingTokens:
    """Tokens to be run after prefilled prompts."""

    rows: RowIndex
    """The prompts that they follow."""
    start: int
    """How many tokens already follow these prompts; -1 runs the prompts' last token again."""
    ids: Tensor
    """(rows, tokens)"""
    mask: Tensor
    """(rows, start + tokens): 0 at padding."""


def run_following(
    language_model: LanguageModel,
    prefilled: PrefilledPrompts,
    following: FollowingTokens,
    capture: Capture,
    last_layer: int | None = None,
) -> Tensor | None:
    """Runs tokens after prefilled prompts; what followed from `following.start` on is overwritten.

    Returns the last hidden states (rows, tokens, d_model) after the final norm, or None where the
    pass stops after `last_layer`.
    """
    cache = prefilled.cache
    lengths = prefilled.lengths[following.rows]
    first = cache.columns - int(lengths.max())
    cache.set_window(PassWindow(following.rows, first, cache.columns + following.start))
    prompt_mask = prefilled.mask[following.rows, first:]
    offsets = torch.arange(following.ids.shape[1], device=following.ids.device)
    hooks = StreamHooks(
        capture,
        last_layer,
        changes=language_model.intervention.for_answers(),
        lower_layers=language_model.lower_layers,
    )
    return last_hidden_states(
        language_model.model,
        hooks,
        input_ids=following.ids,
        attention_mask=torch.cat([prompt_mask, following.mask], dim=1),
        position_ids=lengths[:, None] + following.start + offsets,
        past_key_values=cache,
    )
