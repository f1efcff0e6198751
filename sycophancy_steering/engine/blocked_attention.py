"""Causal attention as matrix products over blocks of tokens; faster than torch's own on a CPU.

Registered with Hugging Face as the attention implementation `blocked`. It computes the same as
`sdpa` (compared in tests/test_forward.py).
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
    """Hugging Face's signature: (rows, heads, tokens, d_head) -> (rows, tokens, heads, d_head).

    `attention_mask`, (rows or 1, 1, tokens, keys), is true where a token attends to a key.
    """
    rows, heads, tokens, width = query.shape
    n_keys = key.shape[2]
    causal = attention_mask is None and getattr(module, "is_causal", True) and tokens > 1
    own_mask = attention_mask is not None and attention_mask.dtype == torch.bool
    if not (own_mask or (causal and tokens == n_keys) or (attention_mask is None and tokens == 1)):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
    groups = heads // key.shape[1]
    # Heads that share keys become rows of one product, so that keys and values are not repeated.
    q = query.reshape(rows * key.shape[1], groups, tokens, width)
    k = key.reshape(rows * key.shape[1], n_keys, width).transpose(1, 2)
    v = value.reshape(rows * key.shape[1], n_keys, -1)
    scale = width**-0.5 if scaling is None else scaling
    future = torch.ones(BLOCK_TOKENS, BLOCK_TOKENS, dtype=torch.bool, device=q.device).triu(1)
    least = torch.finfo(q.dtype).min  # not -inf: padding may attend to nothing at all
    outputs = query.new_empty(len(q), groups, tokens, v.shape[2])
    for start in range(0, tokens, BLOCK_TOKENS):
        end = min(start + BLOCK_TOKENS, tokens)
        size, seen = end - start, end if causal else n_keys
        block = q[:, :, start:end].flatten(1, 2)
        scores = torch.baddbmm(q.new_zeros(()), block, k[:, :, :seen], beta=0, alpha=scale)
        if causal:
            scores.view(len(q), groups, size, seen)[..., start:].masked_fill_(
                future[:size, :size], least
            )
        elif attention_mask is not None:
            hidden = ~attention_mask[:, :, start:end]
            scores.view(rows, heads, size, seen).masked_fill_(hidden, least)
        weights = scores.softmax(-1)
        outputs[:, :, start:end] = torch.bmm(weights, v[:, :seen]).view(len(q), groups, size, -1)
    return outputs.view(rows, heads, tokens, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCKED, blocked_attention)
AttentionMaskInterface.register(BLOCKED, sdpa_mask)
