"""One forward pass of a model under hooks: how many tokens it takes and what it captures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sycophancy_steering.engine.residual_stream import (
    Capture,
    ForwardStopped,
    RowIndex,
    StreamHooks,
    residual_stream_hooks,
)

PASS_TOKENS = {"cpu": 768}
"""Tokens of one forward pass by kind of device, `GPU_PASS_TOKENS` for others. On a CPU, few enough
for its cache."""
GPU_PASS_TOKENS = 16384


def tokens_per_pass(device: object) -> int:
    """How many tokens one forward pass takes on a device."""
    return PASS_TOKENS.get(str(device).split(":")[0], GPU_PASS_TOKENS)


def capture_layers(
    layers: Sequence[int], target: Tensor, rows: RowIndex, tokens: object
) -> Capture:
    """A hook that stores the residual stream of `layers` at `tokens` (an index, or a tensor with
    one of each row) in `rows` of `target` (layers, rows, ...)."""
    slot = {layer: n for n, layer in enumerate(layers)}

    def capture(layer: int, hidden: Tensor) -> None:
        if layer not in slot:
            return
        if isinstance(tokens, Tensor):
            all_rows = torch.arange(len(tokens), device=hidden.device)
            activations = hidden[all_rows, tokens.to(hidden.device)]
        else:
            activations = hidden[:, tokens]  # type: ignore[index]
        index = rows.to(target.device) if isinstance(rows, Tensor) else rows
        target[slot[layer]][index] = activations.to(target.device)

    return capture


def last_hidden_states(model: PreTrainedModel, hooks: StreamHooks, **inputs: Any) -> Tensor | None:
    """One forward pass without the head; None where `hooks` stop it."""
    try:
        with residual_stream_hooks(model, hooks):
            return model.base_model(**inputs, use_cache=True).last_hidden_state
    except ForwardStopped:
        return None
