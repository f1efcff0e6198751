"""The residual stream after every block of a Hugging Face causal language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from sycophancy_steering.engine.lower_layers import Beneath, Output, giving
from sycophancy_steering.foundation.errors import InputError

BLOCKS = {
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
"""Architecture (`model_type` of the configuration) -> where its decoder blocks are. Each is held
against a plain Hugging Face pass in tests/test_architectures.py."""


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """The decoder blocks, each of which gives the residual stream that the next one takes.

    Raises InputError, with the lists of modules that the model has, for an architecture that is not
    among `BLOCKS`: the blocks are never guessed.
    """
    kind = model.config.model_type
    lists = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)
    }
    depth = model.config.get_text_config().num_hidden_layers
    if kind not in BLOCKS or len(lists.get(BLOCKS[kind], [])) != depth:
        seen = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
        raise InputError(
            f"{type(model).__name__}: the architecture {kind!r} is not known here; its lists of "
            f"modules: {seen}. Known: {', '.join(BLOCKS)}; to add one, name its list of {depth} "
            "blocks in BLOCKS of sycophancy_steering/engine/residual_stream.py and its configuration in "
            "tests/tiny_models.py"
        )
    return lists[BLOCKS[kind]]


See = Callable[[int, Tensor], None]
"""What is done with the residual stream (rows, tokens, d_model) after a layer."""
Place = slice | Tensor
"""Which rows of a batch."""


class SeenEnough(Exception):
    """Nothing above this layer is wanted."""


@contextmanager
def watching(
    model: PreTrainedModel,
    see: See,
    last: int | None = None,
    wanted: Tensor | None = None,
    changes: Mapping[int, Callable[[Tensor], Tensor]] = MappingProxyType({}),
    beneath: Beneath | None = None,
) -> Iterator[None]:
    """Within the context, a forward pass shows the residual stream after every block to `see`.

    Layer l is the output of block l, counted from 0: `hidden_states[l + 1]` of Hugging Face, except
    that theirs has the final norm applied for the last layer and this never has. With `last`, the
    pass ends with SeenEnough after that layer. With `wanted` (rows,), a token of each row, the
    highest layer is good at these tokens alone: no other needs its MLP. A layer's output that is to
    be changed is so before it is shown. What is known `beneath` a layer is not run again, nor shown
    but for that layer. The hooks are removed whatever happens.
    """
    known = beneath.next_pass() if beneath else None
    left_out = beneath.layer if beneath and known is not None else -1

    def show(layer: int):
        def hook(_module: nn.Module, _inputs: object, output: Output) -> Output | None:
            if layer < left_out:
                return None
            if beneath and known is None and layer == beneath.layer:
                beneath.keep(output)
            plain = isinstance(output, Tensor)
            states = output if plain else output[0]
            if layer in changes:
                states = changes[layer](states)
            see(layer, states)
            if layer == last:
                raise SeenEnough
            if layer not in changes:
                return None
            return states if plain else (states, *output[1:])

        return hook

    blocks = blocks_of(model)
    handles = [block.register_forward_hook(show(layer)) for layer, block in enumerate(blocks)]
    mlp = getattr(blocks[-1 if last is None else last], "mlp", None)
    if wanted is not None and isinstance(mlp, nn.Module):
        handles += _only_at(mlp, wanted)
    try:
        with giving(known, [*blocks][: left_out + 1]):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _only_at(mlp: nn.Module, wanted: Tensor) -> list[RemovableHandle]:
    """Runs `mlp` at one token of each row, `wanted` (rows,); to the others it adds nothing."""
    rows = torch.arange(len(wanted))
    whole: list[Tensor] = []

    def before(_module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        whole[:] = inputs
        return inputs[0][rows, wanted.to(inputs[0].device)][:, None]

    def after(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        every = torch.zeros_like(whole.pop())
        every[rows, wanted.to(every.device)] = output[:, 0]
        return every

    return [mlp.register_forward_pre_hook(before), mlp.register_forward_hook(after)]
