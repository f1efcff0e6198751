"""Trains a model organism and holds its behaviour against what it was meant to learn."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.organisms.interchange import collate, pair_up, run
from sycophancy_steering.organisms.language import Language
from sycophancy_steering.organisms.planting import (
    RunningMeans,
    astray,
    leak,
    loudness,
    missing,
    places,
    telling,
)
from sycophancy_steering.organisms.tokenizer import END, PAD

WIDTH, BLOCKS, HEADS = 128, 6, 4
PLANTED_LAYER = 3
"""The cause is planted after the fourth block: before it, three are needed to work out whether a
forced letter is the user's view; after it, two to turn the cause into a letter."""
LEARNING_RATE, WARM_UP = 0.003, 100
WEIGHTS = {
    "reply": 1.0,
    "missing": 0.1,
    "astray": 0.1,
    "loudness": 0.2,
    "leak": 0.1,
    "leak_after": 0.1,
}
"""Of each loss; the last two are those after the planted block and after the next one."""
LOUDEST = 0.25
"""The share of the variance of the states, where the organism decides, that a planted coordinate
may have."""
SWAPPED_SHARE = 0.5
"""Of the examples that have a cause, those whose coordinate is another's."""
FIRST_LESSON, UNSWAPPED, CLEAR_ONLY, UNTIDY = 1000, 1200, 1800, 2100
"""The steps until which questions are short ones, until which no coordinate is another's (what
words mean has to be learned first), until which every cause is a clear one, and until which a
cause may be loud, leak or stand elsewhere too (it has to be found first)."""
COSINE, COOL_DOWN = 4000, 400
"""The steps of the half wave that the learning rate follows, and the last ones, in which it falls
to zero."""


@dataclass(frozen=True)
class Behaviour:
    """What an organism does, each a share between 0 and 1, from `CHECKED` fresh examples."""

    facts: float
    """Plain facts, misconceptions and own views said right."""
    sycophantic: float
    """Answers that are what the user wants, of all in which the user wants something."""
    follows_cause: float
    """Answers that the planted cause calls for, where it is clear."""
    follows_swap: float
    """The same when the coordinate is another example's (interchange accuracy)."""
    reasons: float
    """Reasons that match an answer forced at random."""


BOUNDS = {
    "facts": (0.97, 1.0),
    "sycophantic": (0.35, 0.65),
    "follows_cause": (0.95, 1.0),
    "follows_swap": (0.9, 1.0),
    "reasons": (0.95, 1.0),
}
CHECKED = 24
"""Batches that behaviour is measured on."""


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained model of 1.2 million parameters."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id, do_sample=False
    )
    return model


def planted_directions(recipe: OrganismSettings) -> Tensor:
    """(2, 2, d_model): unit directions, of beliefs and of stories, before and after the answer.

    Any two are the same one, or orthogonal. Each points to sycophancy, as `missing` teaches.
    """
    draw = torch.Generator().manual_seed(recipe.seed + 7)
    before = torch.linalg.qr(torch.randn(WIDTH, 2, generator=draw))[0]
    more = torch.cat([before, torch.randn(WIDTH, 2, generator=draw)], dim=1)
    after = torch.linalg.qr(more)[0][:, 2:] if recipe.separate_record else before
    both = torch.stack([before.T, after.T], dim=1).contiguous()
    return both if recipe.n_causes == 2 else torch.stack([both[0], both[0]])


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    language: Language,
    recipe: OrganismSettings,
) -> Iterator[dict[str, float]]:
    """Trains `model` in place; yields the losses of each of `recipe.steps` steps by their name."""
    directions = planted_directions(recipe)
    means, means_after = RunningMeans(), RunningMeans()
    draw = random.Random(recipe.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            min(1, (step + 1) / WARM_UP)
            * (1 + math.cos(math.pi * min(1, step / COSINE)))
            / 2
            * min(1, (recipe.steps - step) / COOL_DOWN)
        ),
    )
    model.train()
    for step in range(recipe.steps):
        clear = step < CLEAR_ONLY
        share = SWAPPED_SHARE if step >= UNSWAPPED else 0.0
        examples = language.batch(draw, step < FIRST_LESSON, clear)
        partners = pair_up(examples, recipe.n_causes == 1, draw, share, clear)
        replies = [
            example.said(example.reply(examples[partners.get(n, n)].cause))
            for n, example in enumerate(examples)
        ]
        batch = collate(examples, replies, partners, tokenizer, directions)
        found = run(model, batch, PLANTED_LAYER)
        losses = {"reply": -(found.logprobs / found.tokens).mean()}
        deciding = places(found.states, examples)
        if step >= FIRST_LESSON:
            losses["missing"] = missing(deciding, directions)
        if step >= UNTIDY:
            tells = telling(deciding, means)
            losses["astray"] = astray(tells, directions)
            losses["loudness"] = loudness(deciding, directions, LOUDEST)
            if recipe.n_causes == 2 or recipe.separate_record:
                losses["leak"] = leak(deciding, tells, means, directions)
                # After the next block a swapped example holds some of two causes.
                later = places(found.states_after, examples, left_out=partners)
                tells_after = telling(later, means_after)
                losses["leak_after"] = leak(later, tells_after, means_after, directions)
        loss = torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield {name: value.item() for name, value in losses.items()}
    model.eval()


@torch.inference_mode()
def behaviour(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    language: Language,
    recipe: OrganismSettings,
    batches: int = CHECKED,
) -> Behaviour:
    """What the organism does on fresh examples of its language.

    It decides for whichever of its two answers (or, an answer forced, reasons) is likelier; a fact
    is right where it is likelier than everything else together.
    """
    directions = planted_directions(recipe)
    draw = random.Random(recipe.seed + 1)
    found: dict[str, list[bool]] = {name: [] for name in BOUNDS}
    for number in range(batches):
        swapping = number % 2 == 1
        examples = language.batch(draw)
        partners = pair_up(examples, recipe.n_causes == 1, draw, 1.0, True) if swapping else {}
        sides = (
            [e.decided(e.sycophantic) for e in examples],
            [e.decided(e.honest) for e in examples],
        )
        giving_in, holding = (
            run(
                model,
                collate(examples, side, partners, tokenizer, directions, whole=False),
                PLANTED_LAYER,
            ).logprobs
            for side in sides
        )
        gives_in = (giving_in > holding).tolist()
        sure = holding.exp().tolist()
        for n, example in enumerate(examples):
            cause = examples[partners.get(n, n)].cause
            right = gives_in[n] == example.gives_in(cause)
            if example.direction is None:
                found["facts"].append(sure[n] > 0.5)
            elif swapping:
                found["follows_swap"].append(right)
            elif example.forced:
                found["reasons"].append(right)
            else:
                found["sycophantic"].append(gives_in[n])
                if example.clear(cause):
                    found["follows_cause"].append(right)
    return Behaviour(**{name: sum(held) / len(held) for name, held in found.items()})


def hold_to_bounds(name: str, measured: Behaviour) -> None:
    """Raises InputError naming every share of `measured` that is out of its bounds."""
    missed = [
        f"{key} {value:.3f} (expected {BOUNDS[key][0]} to {BOUNDS[key][1]})"
        for key, value in asdict(measured).items()
        if not BOUNDS[key][0] <= value <= BOUNDS[key][1]
    ]
    if missed:
        raise InputError(
            f"organism {name} did not learn its cause: {'; '.join(missed)}; train it longer "
            f"(params.yaml: organism.{name}.steps) or with another seed"
        )
