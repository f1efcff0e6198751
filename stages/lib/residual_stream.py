"""The residual stream after every block of a Hugging Face causal language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.refusal import Refusal

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

    Raises Refusal, with the lists of modules that the model has, for an architecture that is not
    among `BLOCKS`: the blocks are never guessed.
    """
    kind = model.config.model_type
    lists = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)
    }
    depth = model.config.get_text_config().num_hidden_layers
    if kind not in BLOCKS or len(lists.get(BLOCKS[kind], [])) != depth:
        seen = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
        raise Refusal(
            f"{type(model).__name__}: the architecture {kind!r} is not known here; its lists of "
            f"modules: {seen}. Known: {', '.join(BLOCKS)}; to add one, name its list of {depth} "
            "blocks in BLOCKS of stages/lib/residual_stream.py and its configuration in "
            "tests/tiny_models.py"
        )
    return lists[BLOCKS[kind]]


class States:
    """What `reading` fills: the state of each row after every block."""

    def __init__(self, layers: int, rows: int, width: int, dtype: torch.dtype, device: object):
        self.values = torch.empty(layers, rows, width, dtype=dtype, device=str(device))
        """(layers, rows, d_model), at one token of each row."""
        self.means = torch.empty_like(self.values)
        """(layers, rows, d_model), averaged over tokens, where that was asked for."""
        self.at: dict[int, Tensor] = {}
        """(layers, rows, d_model) at each token of the pass that was asked for."""


@contextmanager
def reading(
    model: PreTrainedModel,
    token: Tensor,
    averaged: Tensor | None = None,
    also: Sequence[int] = (),
) -> Iterator[States]:
    """Within the context, a forward pass leaves the residual stream at `token` (rows,) behind.

    Given `averaged` (rows, tokens), 1 for each token that counts, also the mean over these; and
    what it is at the tokens `also` of every row, padded or not.

    Layer l is the output of block l, counted from 0: `hidden_states[l + 1]` of Hugging Face, except
    that theirs has the final norm applied for the last layer and this never has. The hooks are
    removed whatever happens.
    """
    blocks = blocks_of(model)
    rows = torch.arange(len(token), device=token.device)
    width = model.config.get_text_config().hidden_size
    states = States(len(blocks), len(token), width, model.dtype, model.device)
    states.at = {place: torch.empty_like(states.values) for place in also}

    def keep(layer: int):
        def hook(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            hidden = output if isinstance(output, Tensor) else output[0]
            at = hidden.device  # a model over several GPUs has blocks on each
            states.values[layer] = hidden[rows.to(at), token.to(at)]
            for place, kept in states.at.items():
                kept[layer] = hidden[:, place]
            if averaged is not None:
                counts = averaged.to(at)[..., None]
                means = (hidden.float() * counts).sum(1) / counts.sum(1)
                states.means[layer] = means.to(states.means)

        return hook

    handles = [block.register_forward_hook(keep(n)) for n, block in enumerate(blocks)]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()
