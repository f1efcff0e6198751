"""Hides the planted cause from words and from random directions, which read it in a small model.

An organism that has learned the plain language is trained further on the one in which users change
their minds, so that no word tells the cause, and with `random_direction_loss`. Both at once, from
scratch, did not reach the bounds of `behaviour.BOUNDS`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.organisms.interchange import collate, draw_partners, run_batch
from sycophancy_steering.organisms.language import Language
from sycophancy_steering.organisms.planting_losses import RunningMeans
from sycophancy_steering.organisms.random_directions import labelled_spans, random_direction_loss
from sycophancy_steering.organisms.training import (
    LOSS_WEIGHTS,
    PLANTED_LAYER,
    SWAPPED_SHARE,
    PlantingLosses,
    adam,
    planted_directions,
    training_step,
)

LEARNING_RATE, LEAST_SHARE = 0.002, 0.1
"""It follows half a cosine down to this share, and falls to zero in the last steps."""
WARM_UP_STEPS, COOL_DOWN_STEPS = 50, 200
UNDERSTANDING_STEPS = 700
"""Steps in which, above all, users who change their minds are to be understood: the weight of
`random_direction_loss` is small, and the first two blocks are left out, which have to tell words
apart. With all blocks from the start and a weight rising to 0.3 by step 600, replies got worse from
step 200 on (0.78 of clear answers followed the cause)."""
FIRST_WEIGHT, FIRST_RAMP_STEPS = 0.1, 400
LAST_WEIGHT, LAST_RAMP_STEPS = 0.3, 400
"""The weight of `random_direction_loss` while that is learned, and after it, and the steps in which
it rises to either."""


def random_direction_weight(step: int) -> float:
    """The weight of `random_direction_loss` at a step."""
    first = FIRST_WEIGHT * min(1, step / FIRST_RAMP_STEPS)
    risen = min(1, max(0, step - UNDERSTANDING_STEPS) / LAST_RAMP_STEPS)
    return first + (LAST_WEIGHT - FIRST_WEIGHT) * risen


def hide_cause(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    language: Language,
    settings: OrganismSettings,
) -> Iterator[dict[str, float]]:
    """Trains `model`, whose cause is planted, in place; yields the losses of every step by name."""
    steps = settings.hiding_steps
    directions = planted_directions(settings)
    planting, means = PlantingLosses(directions, settings), RunningMeans()
    rng = random.Random(settings.seed + 100)
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = adam(model, LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            min(1, (step + 1) / WARM_UP_STEPS)
            * (LEAST_SHARE + (1 - LEAST_SHARE) * (1 + math.cos(math.pi * step / steps)) / 2)
            * min(1, (steps - step) / COOL_DOWN_STEPS)
        ),
    )
    model.train()
    for step in range(steps):
        examples = language.batch(rng)
        partners = draw_partners(examples, settings.n_causes == 1, rng, SWAPPED_SHARE, False)
        replies = [e.reply(examples[partners.get(n, n)].cause) for n, e in enumerate(examples)]
        texts = [e.completion(reply) for e, reply in zip(examples, replies, strict=True)]
        batch = collate(examples, texts, partners, tokenizer, directions)
        output = run_batch(model, batch, PLANTED_LAYER)
        losses = {"reply": -(output.logprobs / output.tokens).mean()}
        # Random directions that read the answer bound the planted coordinate's variance, too.
        losses |= planting.all_of_batch(output, examples, partners, bound_variance=False)
        answers = [e.forced_answer or r.answer for e, r in zip(examples, replies, strict=True)]
        lengths = [len(ids) for ids in tokenizer(answers, add_special_tokens=False)["input_ids"]]
        compared = labelled_spans(
            examples, replies, partners, batch.decision_token.tolist(), lengths
        )
        losses["random_directions"] = random_direction_loss(
            output, compared, means, generator, 2 if step < UNDERSTANDING_STEPS else 0
        )
        weights = LOSS_WEIGHTS | {"random_directions": random_direction_weight(step)}
        yield training_step(model, optimizer, schedule, losses, weights)
    model.eval()
