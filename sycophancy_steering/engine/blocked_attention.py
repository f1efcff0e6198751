"""Causal attention as matrix products over blocks of tokens; faster than torch's own on a CPU.

Registered with Hugging Face as the attention implementation `blocked`. It computes the same as
`sdpa` (compared in tests/test_forward.py), and calls it where a mask is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BLOCKED = "blocked"
BLOCK_TOKENS = 64
"""Query tokens at a time; keys after them are not read."""


def blocked_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Hugging Face's signature: (rows, heads, tokens, d_head) -> (rows, tokens, heads, d_head)."""
    rows, heads, tokens, width = query.shape
    causal = attention_mask is None and getattr(module, "is_causal", True)
    if not causal or tokens != key.shape[2] or tokens == 1:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
    groups = heads // key.shape[1]
    # Heads that share keys become rows of one product.
    q = query.reshape(rows * key.shape[1], groups, tokens, width)
    k = key.reshape(rows * key.shape[1], tokens, width).transpose(1, 2)
    v = value.reshape(rows * key.shape[1], tokens, -1)
    scale = width**-0.5 if scaling is None else scaling
    future = torch.ones(BLOCK_TOKENS, BLOCK_TOKENS, dtype=torch.bool, device=q.device).triu(1)
    outputs = query.new_empty(len(q), groups, tokens, v.shape[2])
    for start in range(0, tokens, BLOCK_TOKENS):
        end = min(start + BLOCK_TOKENS, tokens)
        block = q[:, :, start:end].flatten(1, 2)
        scores = torch.baddbmm(q.new_zeros(()), block, k[:, :, :end], beta=0, alpha=scale)
        scores = scores.view(len(q), groups, end - start, end)
        size = end - start
        scores[..., start:].masked_fill_(future[:size, :size], float("-inf"))
        weights = scores.softmax(-1).flatten(1, 2)
        outputs[:, :, start:end] = torch.bmm(weights, v[:, :end]).view(len(q), groups, size, -1)
    return outputs.view(rows, heads, tokens, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCKED, blocked_attention)
AttentionMaskInterface.register(BLOCKED, sdpa_mask)
