"""Hooks that capture or change the residual stream after each block of a causal language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from sycophancy_steering.engine.lower_layers import BlockOutput, LowerLayersCache, replayed_output
from sycophancy_steering.foundation.errors import InputError

BLOCK_PATHS = {
    "falcon": "transformer.h",
    "gemma": "model.layers",
    "gemma2": "model.layers",
    "gemma3": "model.language_model.layers",
    "gemma3_text": "model.layers",
    "gpt2": "transformer.h",
    "gpt_neox": "gpt_neox.layers",
    "llama": "model.layers",
    "mistral": "model.layers",
    "mixtral": "model.layers",
    "opt": "model.decoder.layers",
    "phi3": "model.layers",
    "qwen2": "model.layers",
    "qwen2_moe": "model.layers",
    "qwen3": "model.layers",
    "qwen3_moe": "model.layers",
}
"""Architecture (`model_type` of the configuration) -> path of its list of decoder blocks. Each is
compared with a plain Hugging Face forward pass in tests/test_architectures.py."""


def decoder_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The decoder blocks; the output of each is the residual stream that the next one takes.

    Raises InputError, with the model's lists of modules, for an architecture that is not among
    `BLOCK_PATHS`: the blocks are never guessed.
    """
    kind = model.config.model_type
    lists = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)
    }
    depth = model.config.get_text_config().num_hidden_layers
    if kind not in BLOCK_PATHS or len(lists.get(BLOCK_PATHS[kind], [])) != depth:
        present = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
        raise InputError(
            f"{type(model).__name__}: the architecture {kind!r} is not known here; its lists of "
            f"modules: {present}. Known: {', '.join(BLOCK_PATHS)}; to add one, name its list of "
            f"{depth} blocks in BLOCK_PATHS of sycophancy_steering/engine/residual_stream.py and "
            "its configuration in tests/tiny_models.py"
        )
    return lists[BLOCK_PATHS[kind]]


Capture = Callable[[int, Tensor], None]
"""Called with each layer and the residual stream (rows, tokens, d_model) after it."""
Change = Callable[[Tensor], Tensor]
"""Activations (..., d_model) -> changed ones of the same shape."""
RowIndex = slice | Tensor
"""Rows of a batch."""


def row_index(rows: list[int], device: object) -> RowIndex:
    """Adjacent rows as a slice, which indexes without copying."""
    if rows == [*range(rows[0], rows[0] + len(rows))]:
        return slice(rows[0], rows[0] + len(rows))
    return torch.tensor(rows, device=str(device))


def capture_nothing(_layer: int, _hidden: Tensor) -> None:
    """Captures no activation."""


class ForwardStopped(Exception):
    """Raised by a hook to end a forward pass after the last layer needed."""


@dataclass(frozen=True)
class StreamHooks:
    """What hooks do with the residual stream during one forward pass."""

    capture: Capture = capture_nothing
    last_layer: int | None = None
    """The pass ends with ForwardStopped after this layer; None: it runs to the end."""
    last_tokens: Tensor | None = None
    """(rows,): the highest layer's output is needed at these tokens only, one of each row; its MLP
    is not run at others, where the output is then meaningless."""
    changes: Mapping[int, Change] = field(default_factory=dict)
    """By layer: changes its output before it is captured."""
    lower_layers: LowerLayersCache | None = None
    """Outputs of lower layers that are not run again."""


@contextmanager
def residual_stream_hooks(model: PreTrainedModel, hooks: StreamHooks) -> Iterator[None]:
    """Within the context, forward passes capture and change the residual stream after each block.

    Layer l is the output of block l, counted from 0: Hugging Face's `hidden_states[l + 1]`, except
    that theirs of the last layer has the final norm applied. Layers below a replayed one are not
    captured. The hooks are removed on exit, after errors too.
    """
    lower = hooks.lower_layers
    replayed = lower.next_output() if lower else None
    n_skipped = lower.layer if lower and replayed is not None else -1

    def hook_for(layer: int):
        def hook(_module: nn.Module, _inputs: object, output: BlockOutput) -> BlockOutput | None:
            if layer < n_skipped:
                return None
            if lower and replayed is None and layer == lower.layer:
                lower.append(output)
            is_tensor = isinstance(output, Tensor)
            activations = output if is_tensor else output[0]
            if layer in hooks.changes:
                activations = hooks.changes[layer](activations)
            hooks.capture(layer, activations)
            if layer == hooks.last_layer:
                raise ForwardStopped
            if layer not in hooks.changes:
                return None
            return activations if is_tensor else (activations, *output[1:])

        return hook

    blocks = decoder_blocks(model)
    handles = [block.register_forward_hook(hook_for(layer)) for layer, block in enumerate(blocks)]
    mlp = getattr(blocks[-1 if hooks.last_layer is None else hooks.last_layer], "mlp", None)
    if hooks.last_tokens is not None and isinstance(mlp, nn.Module):
        handles += _run_only_at(mlp, hooks.last_tokens)
    try:
        with replayed_output(replayed, [*blocks][: n_skipped + 1]):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _run_only_at(mlp: nn.Module, tokens: Tensor) -> list[RemovableHandle]:
    """Runs `mlp` at one token of each row, `tokens` (rows,); its output is zero at others."""
    rows = torch.arange(len(tokens))
    full_inputs: list[Tensor] = []

    def before(_module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        full_inputs[:] = inputs
        return inputs[0][rows, tokens.to(inputs[0].device)][:, None]

    def after(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        full_output = torch.zeros_like(full_inputs.pop())
        full_output[rows, tokens.to(full_output.device)] = output[:, 0]
        return full_output

    return [mlp.register_forward_pre_hook(before), mlp.register_forward_hook(after)]
