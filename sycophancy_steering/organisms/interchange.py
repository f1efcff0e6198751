"""Plants a cause in a small model: interchange intervention training (Geiger et al. 2022,
https://arxiv.org/abs/2112.00826; InterpBench, Gupta et al. 2024, is the close relative).

In half of the examples, the coordinate `u . h` of the residual stream after block `layer`, at the
token where the model decides, is replaced by that of another example of the batch, its partner. The
target is then the reply that the partner's cause calls for, and gradients flow through both. So the
model learns to write its whole cause along `u`, and to read it from there.
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

IGNORED_TARGET = -100


@dataclass(frozen=True)
class Swap:
    """The coordinates of a batch that are replaced, and by which (all tensors of shape (n,))."""

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
    """(rows, tokens): the id that should follow each token, or `IGNORED_TARGET`."""
    decision_token: Tensor
    """(rows,): the last token before each reply, where the model decides."""
    swap: Swap


@contextmanager
def interchanged(blocks: Sequence[nn.Module], layer: int, batch: Batch) -> Iterator[list[Tensor]]:
    """Within the context, block `layer` writes the swapped coordinates into its output.

    The list it yields receives the hidden states (rows, tokens, d_model) after every block, those
    of block `layer` before the swap.
    """
    swap = batch.swap
    captured: list[Tensor] = []

    def capture(_module: nn.Module, _inputs: object, hidden: Tensor) -> None:
        captured.append(hidden)

    def replace(_module: nn.Module, _inputs: object, hidden: Tensor) -> Tensor:
        difference = hidden[swap.partner_row, swap.partner_token] - hidden[swap.row, swap.token]
        change = (difference * swap.direction).sum(-1, keepdim=True) * swap.direction
        return hidden.index_put((swap.row, swap.token), change.to(hidden.dtype), accumulate=True)

    handles = [block.register_forward_hook(capture) for block in blocks]
    handles.append(blocks[layer].register_forward_hook(replace))
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


def draw_partners(
    examples: Sequence[Example], one_cause: bool, rng: random.Random, share: float, clear_only: bool
) -> dict[int, int]:
    """Row -> its partner's row, for a random `share` of the rows that have a cause.

    Partners decide along the same direction (with `one_cause` in every task, else both in tasks of
    beliefs or both in tasks of stories), and both before the answer or both after it. With
    `clear_only`, the partner's cause leaves no doubt about the answer.
    """
    partners = {}
    deciding = [row for row, example in enumerate(examples) if example.direction is not None]
    for row in deciding:
        candidates = [
            other
            for other in deciding
            if (one_cause or examples[other].direction == examples[row].direction)
            and bool(examples[other].forced_answer) == bool(examples[row].forced_answer)
            and (not clear_only or examples[row].is_clear(examples[other].cause))
        ]
        if candidates and rng.random() < share:
            partners[row] = rng.choice(candidates)
    return partners


def collate(
    examples: Sequence[Example],
    replies: Sequence[str],
    partners: dict[int, int],
    tokenizer: PreTrainedTokenizerFast,
    directions: Tensor,
    end_turn: bool = True,
) -> Batch:
    """The batch in which `examples` are followed by `replies`.

    `directions` (2, 2, d_model) are those of beliefs and of stories, before and after the answer.
    With `end_turn` each reply ends the turn; otherwise it may continue.
    """
    chats = tokenizer.apply_chat_template(
        [[{"role": t.role, "content": t.content} for t in e.turns] for e in examples],
        tokenize=False,
        add_generation_prompt=True,
    )
    prompts = tokenizer(cast(list[str], chats), add_special_tokens=False)["input_ids"]
    forced = tokenizer([e.forced_answer for e in examples], add_special_tokens=False)["input_ids"]
    stems = [prompt + answer for prompt, answer in zip(prompts, forced, strict=True)]
    reply_ids = tokenizer(list(replies), add_special_tokens=False)["input_ids"]
    end_of_turn = [tokenizer.eos_token_id] if end_turn else []
    reply_ids = [reply + end_of_turn for reply in reply_ids]
    longest = max(len(stem) + len(reply) for stem, reply in zip(stems, reply_ids, strict=True))
    ids = torch.zeros((len(examples), longest), dtype=torch.long)
    targets = torch.full((len(examples), longest), IGNORED_TARGET)
    for row, (stem, reply) in enumerate(zip(stems, reply_ids, strict=True)):
        ids[row, : len(stem) + len(reply)] = torch.tensor(stem + reply)
        targets[row, len(stem) - 1 : len(stem) + len(reply) - 1] = torch.tensor(reply)

    decision_token = torch.tensor([len(stem) - 1 for stem in stems])
    row = torch.tensor(list(partners), dtype=torch.long)
    partner = torch.tensor(list(partners.values()), dtype=torch.long)
    cause = torch.tensor([examples[n].direction for n in partners], dtype=torch.long)
    answered = torch.tensor([bool(examples[n].forced_answer) for n in partners], dtype=torch.long)
    direction = directions[cause, answered]
    swap = Swap(row, decision_token[row], partner, decision_token[partner], direction)
    return Batch(ids, targets, decision_token, swap)


@dataclass(frozen=True)
class BatchOutput:
    """What a forward pass of a batch gives, by row."""

    logprobs: Tensor
    """(rows,): log-probability of each reply, with the swaps."""
    tokens: Tensor
    """(rows,): number of tokens of each reply."""
    activations: Tensor
    """(rows, d_model): hidden states at the decision tokens after the block, before the swaps."""
    next_activations: Tensor
    """(rows, d_model): the same after the next block, with the swaps."""
    hidden_states: list[Tensor]
    """Each block's (rows, tokens, d_model), those of the block before the swaps."""


def run_batch(model: LlamaForCausalLM, batch: Batch, layer: int) -> BatchOutput:
    """The output of `batch` with its swaps made after block `layer`."""
    blocks = cast(Sequence[nn.Module], model.model.layers)
    with interchanged(blocks, layer, batch) as captured:
        hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    row, token = (batch.targets != IGNORED_TARGET).nonzero(as_tuple=True)
    logits = model.lm_head(hidden[row, token])  # the head runs on the replies only
    token_logprobs = -nn.functional.cross_entropy(
        logits, batch.targets[row, token], reduction="none"
    )
    logprobs = torch.zeros(len(batch.ids)).index_add(0, row, token_logprobs)
    n_tokens = torch.bincount(row, minlength=len(batch.ids))
    decisions = (torch.arange(len(batch.ids)), batch.decision_token)
    return BatchOutput(
        logprobs, n_tokens, captured[layer][decisions], captured[layer + 1][decisions], captured
    )
