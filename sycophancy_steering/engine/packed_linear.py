"""Linear layers whose weights are packed into oneDNN's layout once, not in every forward pass.

Extraction in float32 is 1.13 times as fast on an x86 CPU (benchmarks/packed_weights.py). Torch has
no public function for it; `packed_weights: off` in `model` of params.yaml does without.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import SiLUActivation

MIN_WEIGHTS = 2**17
"""Smaller matrices are not packed: they stay in a core's cache as they are."""
GATED_MLPS = ("LlamaMLP", "MistralMLP", "Qwen2MLP", "Qwen3MLP")
"""Hugging Face's classes that compute what `PackedGatedMlp` does."""
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

    def forward(self, inputs: Tensor, activation: str = "none") -> Tensor:
        """(..., in_features) -> (..., out_features), after an activation that oneDNN knows."""
        return torch.ops.mkldnn._linear_pointwise(
            inputs, self._packed, self.bias, activation, [], ""
        )

    def times(self, inputs: Tensor, factor: Tensor) -> Tensor:
        """The output (..., out_features) times `factor` of the same shape."""
        return torch.ops.mkldnn._linear_pointwise.binary(
            inputs, factor, self._packed, self.bias, "mul"
        )


class PackedGatedMlp(nn.Module):
    """down(silu(gate(x)) * up(x)), with the activation and the product inside the matrix products.

    Apart, they read and write the widest activations of a block twice more.
    """

    def __init__(self, gate: PackedLinear, up: PackedLinear, down: PackedLinear):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = gate, up, down

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., d_model) -> (..., d_model)"""
        gate = self.gate_proj(inputs, "swish")
        return self.down_proj(self.up_proj.times(inputs, gate))


def pack_linear_layers(model: nn.Module) -> None:
    """Packs the linear layers of `model`, its head too, on x86 CPUs with AVX and oneDNN."""
    x86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    if not (torch.backends.mkldnn.is_available() and x86):
        return
    for parent in [*model.modules()]:
        for name, child in parent.named_children():
            # Subclasses may compute something else.
            if not isinstance(child, nn.Linear) or type(child) is not nn.Linear:
                continue
            supported = child.weight.dtype in (torch.float32, torch.bfloat16)
            large = child.weight.numel() >= MIN_WEIGHTS
            if supported and large and child.weight.device.type == "cpu":
                setattr(parent, name, PackedLinear(child))
    for parent in [*model.modules()]:
        for name, child in parent.named_children():
            if type(child).__name__ in GATED_MLPS and isinstance(child.act_fn, SiLUActivation):
                parts = [getattr(child, part) for part in ("gate_proj", "up_proj", "down_proj")]
                if all(isinstance(part, PackedLinear) for part in parts):
                    setattr(parent, name, PackedGatedMlp(*parts))
