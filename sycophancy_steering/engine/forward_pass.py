"""Forward passes of a model under hooks: which rows each takes, and what it captures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
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
PASS_COST = {"cpu": 32}
"""How many tokens take as long as starting a pass does (above all, reading the weights), by kind of
device; `GPU_PASS_COST` for others. SmolLM2 on two cores: 35 ms a pass and 1.2 ms a token."""
GPU_PASS_COST = 2048


def tokens_per_pass(device: object) -> int:
    """How many tokens one forward pass takes on a device."""
    return PASS_TOKENS.get(_kind(device), GPU_PASS_TOKENS)


def _kind(device: object) -> str:
    return str(device).split(":")[0]


def passes_by_length(lengths: Sequence[int], device: object) -> list[list[int]]:
    """Indices of rows with `lengths` in groups, one a forward pass, padded to its longest row.

    The longest come first. Of all ways to cut the sorted rows into passes of at most
    `tokens_per_pass`, the one that takes least time: padded tokens, and `PASS_COST` for each pass.
    """
    limit = tokens_per_pass(device)
    of_pass = PASS_COST.get(_kind(device), GPU_PASS_COST)
    order = sorted(range(len(lengths)), key=lambda n: (-lengths[n], n))
    widths = np.array([lengths[n] for n in order])
    least = np.zeros(len(order) + 1)  # cost of the first rows, by their number
    cuts = np.zeros(len(order) + 1, dtype=np.int64)
    for end in range(1, len(order) + 1):
        starts = np.arange(max(0, end - max(1, limit // max(1, widths[end - 1]))), end)
        tokens = (end - starts) * widths[starts]
        allowed = (tokens <= limit) | (starts == end - 1)
        costs = np.where(allowed, least[starts] + tokens + of_pass, np.inf)
        cuts[end] = starts[costs.argmin()]
        least[end] = costs.min()
    passes, end = [], len(order)
    while end:
        passes.append(order[cuts[end] : end])
        end = int(cuts[end])
    return passes[::-1]


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
