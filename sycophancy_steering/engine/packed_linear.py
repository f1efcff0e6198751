"""Linear layers whose weights are packed into oneDNN's layout once, not in every forward pass.

Extraction in float32 is 1.13 times as fast on an x86 CPU (benchmarks/packed_weights.py). Torch has
no public function for it; `packed_weights: off` in `model` of params.yaml does without.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MIN_WEIGHTS = 2**17
"""Smaller matrices are not packed: they stay in a core's cache as they are."""
PACKED_FOR_ROWS = 512
"""Number of tokens that the layout is chosen for; other numbers are as fast."""


class PackedLinear(nn.Module):
    """A linear layer for inference; its weight is no longer a matrix."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_FOR_ROWS)
        self.bias = linear.bias
        # Some architectures read the dtype of a weight.
        self.weight = nn.Parameter(weight.new_empty(0), requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)"""
        return torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")


def pack_linear_layers(blocks: nn.Module) -> None:
    """Packs the linear layers in `blocks`, on x86 CPUs with AVX and oneDNN."""
    x86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    if not (torch.backends.mkldnn.is_available() and x86):
        return
    for parent in [*blocks.modules()]:
        for name, child in parent.named_children():
            # Subclasses may compute something else.
            if not isinstance(child, nn.Linear) or type(child) is not nn.Linear:
                continue
            supported = child.weight.dtype in (torch.float32, torch.bfloat16)
            large = child.weight.numel() >= MIN_WEIGHTS
            if supported and large and child.weight.device.type == "cpu":
                setattr(parent, name, PackedLinear(child))
