"""Trains a model organism on the plain language, and plants its cause."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sycophancy_steering.config.organism import OrganismSettings
from sycophancy_steering.organisms.ground_truth import PlantedCause
from sycophancy_steering.organisms.interchange import BatchOutput, collate, draw_partners, run_batch
from sycophancy_steering.organisms.language import Example, Language
from sycophancy_steering.organisms.planting_losses import (
    RunningMeans,
    alignment_loss,
    cause_covariances,
    correlation_loss,
    decision_groups,
    leakage_loss,
    variance_loss,
)
from sycophancy_steering.organisms.tokenizer import END, PAD

WIDTH, BLOCKS, HEADS = 128, 6, 4
PLANTED_LAYER = 3
"""The block after which the cause is planted, of 0 to 5: the model needs three blocks before it to
find out whether a forced letter is the user's view, and two after it to turn the cause into a
letter."""
LEARNING_RATE, WARM_UP_STEPS = 0.003, 100
LOSS_WEIGHTS = {
    "reply": 1.0,
    "correlation": 0.1,
    "alignment": 0.1,
    "variance": 0.2,
    "leakage": 0.1,
    "leakage_next_block": 0.1,
}
MAX_VARIANCE_SHARE = 0.25
"""The share of the variance of the activations at the decision token that a planted coordinate may
have."""
SWAPPED_SHARE = 0.5
"""The share of the examples with a cause whose coordinate is replaced by a partner's."""
FIRST_PHASE_UNTIL, NO_SWAPS_UNTIL, CLEAR_CAUSES_UNTIL, REPLIES_ONLY_UNTIL = 1000, 1200, 1800, 2100
"""Steps until which: questions are short; no coordinates are swapped (the model has to learn the
words first); every cause is clear; the losses of alignment, variance and leakage are left out (the
model has to find the cause first)."""
COSINE_STEPS, COOL_DOWN_STEPS = 4000, 400
"""Steps of the half cosine that the learning rate follows, and the last steps, in which it falls to
zero linearly."""


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


def planted_directions(settings: OrganismSettings) -> Tensor:
    """(2, 2, d_model) unit directions: of beliefs and of stories, before and after the answer.

    Any two are equal or orthogonal. All point towards sycophancy (`correlation_loss`).
    """
    generator = torch.Generator().manual_seed(settings.seed + 7)
    before = torch.linalg.qr(torch.randn(WIDTH, 2, generator=generator))[0]
    four = torch.cat([before, torch.randn(WIDTH, 2, generator=generator)], dim=1)
    after = torch.linalg.qr(four)[0][:, 2:] if settings.separate_record else before
    both = torch.stack([before.T, after.T], dim=1).contiguous()
    return both if settings.n_causes == 2 else torch.stack([both[0], both[0]])


def planted_cause(settings: OrganismSettings) -> PlantedCause:
    """Where the cause of an organism with these settings is planted."""
    names = ("belief", "belief_record", "story", "story_record")
    directions = planted_directions(settings).flatten(0, 1).numpy()
    return PlantedCause(
        layer=PLANTED_LAYER,
        n_causes=settings.n_causes,
        separate_record=settings.separate_record,
        **dict(zip(names, directions, strict=True)),
    )


def adam(model: LlamaForCausalLM, learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer of all training here."""
    return torch.optim.AdamW(
        model.parameters(), lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.98)
    )


def training_step(
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    losses: Mapping[str, Tensor],
    weights: Mapping[str, float],
) -> dict[str, float]:
    """One step down the gradient of the weighted losses; their values by name."""
    loss = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    return {name: value.item() for name, value in losses.items()}


class PlantingLosses:
    """The losses of `planting_losses.py`, each from the training step on at which it is needed."""

    def __init__(self, directions: Tensor, settings: OrganismSettings):
        self._directions = directions
        self._several_directions = settings.n_causes == 2 or settings.separate_record
        self._means, self._next_block_means = RunningMeans(), RunningMeans()

    def of_batch(
        self,
        step: int,
        output: BatchOutput,
        examples: Sequence[Example],
        partners: Mapping[int, int],
    ) -> dict[str, Tensor]:
        """The losses of a batch by name."""
        if step < FIRST_PHASE_UNTIL:
            return {}
        if step < REPLIES_ONLY_UNTIL:
            groups = decision_groups(output.activations, examples)
            return {"correlation": correlation_loss(groups, self._directions)}
        return self.all_of_batch(output, examples, partners)

    def all_of_batch(
        self,
        output: BatchOutput,
        examples: Sequence[Example],
        partners: Mapping[int, int],
        bound_variance: bool = True,
    ) -> dict[str, Tensor]:
        """All losses of a batch by name; that of the variance is optional."""
        groups = decision_groups(output.activations, examples)
        covariances = cause_covariances(groups, self._means)
        losses = {
            "correlation": correlation_loss(groups, self._directions),
            "alignment": alignment_loss(covariances, self._directions),
        }
        if bound_variance:
            losses["variance"] = variance_loss(groups, self._directions, MAX_VARIANCE_SHARE)
        if self._several_directions:
            losses["leakage"] = leakage_loss(groups, covariances, self._means, self._directions)
            # After the next block, swapped examples carry parts of two causes.
            groups = decision_groups(output.next_activations, examples, excluded=partners)
            covariances = cause_covariances(groups, self._next_block_means)
            losses["leakage_next_block"] = leakage_loss(
                groups, covariances, self._next_block_means, self._directions
            )
        return losses


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    language: Language,
    settings: OrganismSettings,
) -> Iterator[dict[str, float]]:
    """Trains `model` in place on the plain `language`; yields the losses of every step by name."""
    directions = planted_directions(settings)
    planting = PlantingLosses(directions, settings)
    rng = random.Random(settings.seed)
    optimizer = adam(model, LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            min(1, (step + 1) / WARM_UP_STEPS)
            * (1 + math.cos(math.pi * min(1, step / COSINE_STEPS)))
            / 2
            * min(1, (settings.steps - step) / COOL_DOWN_STEPS)
        ),
    )
    model.train()
    for step in range(settings.steps):
        clear_only = step < CLEAR_CAUSES_UNTIL
        share = SWAPPED_SHARE if step >= NO_SWAPS_UNTIL else 0.0
        examples = language.batch(rng, step < FIRST_PHASE_UNTIL, clear_only)
        partners = draw_partners(examples, settings.n_causes == 1, rng, share, clear_only)
        replies = [
            example.completion(example.reply(examples[partners.get(n, n)].cause))
            for n, example in enumerate(examples)
        ]
        batch = collate(examples, replies, partners, tokenizer, directions)
        output = run_batch(model, batch, PLANTED_LAYER)
        losses = {"reply": -(output.logprobs / output.tokens).mean()}
        losses |= planting.of_batch(step, output, examples, partners)
        yield training_step(model, optimizer, schedule, losses, LOSS_WEIGHTS)
    model.eval()
