"""Plants a cause in a small model: interchange intervention training (Geiger et al. 2022,
https://arxiv.org/abs/2112.00826; InterpBench, Gupta et al. 2024, is the close relative).

In half of the examples the coordinate `u . h` of the residual stream after block `layer`, at the
token where the model decides, is replaced by the coordinate that another example of the batch has
there, and the target is the reply that the other example's cause calls for. The gradient flows
through both. So the model learns to write its cause on `u`, all of it, and to read it from there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from sycophancy_steering.organisms.language import Example

IGNORED = -100


@dataclass(frozen=True)
class Swap:
    """Which coordinates of a batch are replaced by which (all tensors of shape (n,))."""

    row: Tensor
    token: Tensor
    partner_row: Tensor
    partner_token: Tensor
    direction: Tensor
    """(n, d_model): the unit direction of each swap."""


@dataclass(frozen=True)
class Batch:
    """Examples as padded tensors."""

    ids: Tensor
    """(rows, tokens), right-padded, so causal attention needs no mask."""
    targets: Tensor
    """(rows, tokens): the id to be said after each token, or `IGNORED`."""
    end: Tensor
    """(rows,): where each example decides, the last token before its reply."""
    swap: Swap


@contextmanager
def swapped(blocks: Sequence[nn.Module], layer: int, batch: Batch) -> Iterator[list[Tensor]]:
    """Within the context, block `layer` writes the swapped coordinates into its output.

    The list it gives is filled with the states (rows, d_model) at the end: after that block, before
    the swap; and after the next one.
    """
    swap = batch.swap
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, hidden: Tensor) -> None:
        found.append(hidden[torch.arange(len(batch.end)), batch.end])

    def replace(_module: nn.Module, _inputs: object, hidden: Tensor) -> Tensor:
        gap = hidden[swap.partner_row, swap.partner_token] - hidden[swap.row, swap.token]
        step = (gap * swap.direction).sum(-1, keepdim=True) * swap.direction
        return hidden.index_put((swap.row, swap.token), step.to(hidden.dtype), accumulate=True)

    handles = [
        blocks[layer].register_forward_hook(keep),
        blocks[layer].register_forward_hook(replace),
        blocks[layer + 1].register_forward_hook(keep),
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def pair_up(
    examples: Sequence[Example], one_cause: bool, draw: random.Random, share: float, clear: bool
) -> dict[int, int]:
    """Row -> the row whose coordinate it is given, for a `share` of the rows that have a cause.

    Partners decide along the same direction (with `one_cause` that is every task, else those of
    beliefs or those of stories) and both before the answer or both after it. With `clear` only
    partners whose cause leaves no doubt about the answer.
    """
    partners = {}
    deciding = [row for row, example in enumerate(examples) if example.direction is not None]
    for row in deciding:
        fitting = [
            other
            for other in deciding
            if (one_cause or examples[other].direction == examples[row].direction)
            and bool(examples[other].forced) == bool(examples[row].forced)
            and (not clear or examples[row].clear(examples[other].cause))
        ]
        if fitting and draw.random() < share:
            partners[row] = draw.choice(fitting)
    return partners


def collate(
    examples: Sequence[Example],
    replies: Sequence[str],
    partners: dict[int, int],
    tokenizer: PreTrainedTokenizerFast,
    directions: Tensor,
    whole: bool = True,
) -> Batch:
    """The batch in which `examples` are followed by `replies`.

    `directions` (2, 2, d_model) are those of beliefs and of stories, before and after the answer. A
    `whole` reply ends the turn; otherwise it is the beginning of one.
    """
    chats = tokenizer.apply_chat_template(
        [[{"role": t.role, "content": t.content} for t in e.turns] for e in examples],
        tokenize=False,
        add_generation_prompt=True,
    )
    prompts = tokenizer(cast(list[str], chats), add_special_tokens=False)["input_ids"]
    forced = tokenizer([e.forced for e in examples], add_special_tokens=False)["input_ids"]
    stems = [prompt + answer for prompt, answer in zip(prompts, forced, strict=True)]
    said = tokenizer(list(replies), add_special_tokens=False)["input_ids"]
    end_of_turn = [tokenizer.eos_token_id] if whole else []
    said = [reply + end_of_turn for reply in said]
    longest = max(len(stem) + len(reply) for stem, reply in zip(stems, said, strict=True))
    ids = torch.zeros((len(examples), longest), dtype=torch.long)
    targets = torch.full((len(examples), longest), IGNORED)
    for row, (stem, reply) in enumerate(zip(stems, said, strict=True)):
        ids[row, : len(stem) + len(reply)] = torch.tensor(stem + reply)
        targets[row, len(stem) - 1 : len(stem) + len(reply) - 1] = torch.tensor(reply)

    end = torch.tensor([len(stem) - 1 for stem in stems])
    row = torch.tensor(list(partners), dtype=torch.long)
    partner = torch.tensor(list(partners.values()), dtype=torch.long)
    which = torch.tensor([examples[n].direction for n in partners], dtype=torch.long)
    after = torch.tensor([bool(examples[n].forced) for n in partners], dtype=torch.long)
    along = directions[which, after]
    return Batch(ids, targets, end, Swap(row, end[row], partner, end[partner], along))


@dataclass(frozen=True)
class Pass:
    """What a pass over a batch gives, all by row."""

    logprobs: Tensor
    """(rows,): log-probability of each reply, the swaps made."""
    tokens: Tensor
    """(rows,): tokens of each reply."""
    states: Tensor
    """(rows, d_model): where each example decides, after the block, before any swap."""
    states_after: Tensor
    """(rows, d_model): the same after the next block, the swaps made."""


def run(model: LlamaForCausalLM, batch: Batch, layer: int) -> Pass:
    """Runs `batch` with its swaps made after block `layer`."""
    blocks = cast(Sequence[nn.Module], model.model.layers)
    with swapped(blocks, layer, batch) as states:
        hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    row, token = (batch.targets != IGNORED).nonzero(as_tuple=True)
    logits = model.lm_head(hidden[row, token])  # the head runs on the replies only
    each = -nn.functional.cross_entropy(logits, batch.targets[row, token], reduction="none")
    total = torch.zeros(len(batch.ids)).index_add(0, row, each)
    return Pass(total, torch.bincount(row, minlength=len(batch.ids)), *states)
