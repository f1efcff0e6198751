"""Causal attention as matrix products over blocks of tokens, faster on a processor than torch's.

Registered with Hugging Face as the attention implementation `blocked`. It computes what `sdpa` does
(tests/test_architectures.py holds it against the plain pass), which it is where a mask is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BLOCKED = "blocked"
BLOCK = 64
"""Tokens whose scores are computed at a time; later tokens are not looked at."""


def blocked_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """As Hugging Face asks for it: (rows, heads, tokens, width) -> (rows, tokens, heads, width)."""
    rows, heads, tokens, width = query.shape
    causal = attention_mask is None and getattr(module, "is_causal", True)
    if not causal or tokens != key.shape[2] or tokens == 1:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    groups = heads // key.shape[1]
    # Heads that share keys are further rows of the same product.
    q = query.reshape(rows * key.shape[1], groups, tokens, width)
    k = key.reshape(rows * key.shape[1], tokens, width).transpose(1, 2)
    v = value.reshape(rows * key.shape[1], tokens, -1)
    scale = width**-0.5 if scaling is None else scaling
    later = torch.ones(BLOCK, BLOCK, dtype=torch.bool, device=q.device).triu(1)
    outputs = query.new_empty(len(q), groups, tokens, v.shape[2])
    for start in range(0, tokens, BLOCK):
        end = min(start + BLOCK, tokens)
        block = q[:, :, start:end].flatten(1, 2)
        scores = torch.baddbmm(q.new_zeros(()), block, k[:, :, :end], beta=0, alpha=scale)
        scores = scores.view(len(q), groups, end - start, end)
        size = end - start
        scores[..., start:].masked_fill_(later[:size, :size], float("-inf"))
        weights = scores.softmax(-1).flatten(1, 2)
        outputs[:, :, start:end] = torch.bmm(weights, v[:, :end]).view(len(q), groups, size, -1)
    return outputs.view(rows, heads, tokens, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCKED, blocked_attention)
AttentionMaskInterface.register(BLOCKED, sdpa_mask)
