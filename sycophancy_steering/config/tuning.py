"""`tuning` of params.yaml: fine-tuning as a baseline."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import (
    SECTION,
    Distinct,
    Integer,
    Number,
    PositiveInteger,
    SomeDistinct,
    Text,
)


@dataclass(frozen=True, config=SECTION)
class WeakLabeller:
    """A model cut off after a layer: the answer whose activations lie further along the model's own
    vector is labelled sycophantic."""

    model: Text
    """An entry of `model`."""
    layer: Annotated[Integer, Field(ge=0)]
    """The last layer that is run, counted from 0."""


@dataclass(frozen=True, config=SECTION)
class TuningSettings:
    """What is trained, on how many examples, and how."""

    models: Distinct[Text]
    """Entries of `models` that are fine-tuned."""
    n_examples: SomeDistinct[PositiveInteger]
    """Numbers of pairs that runs are trained on."""
    n_seeds: PositiveInteger
    """Samples of the pairs, each with its own initialisation and order."""
    label_noise: Distinct[Annotated[Number, Field(gt=0, le=0.5)]]
    """Shares of the pairs whose two answers are swapped."""
    weak_labeller: WeakLabeller
    """A weaker model whose labels runs are trained on too."""
    contrast_sets: SomeDistinct[Text]
    """data/contrast/NAME.jsonl: the first shows sycophancy, the others are controls."""
    n_distillation: PositiveInteger
    """Unlabelled questions that the model answers under the best prompt, for distillation."""
    steps: PositiveInteger
    """Optimiser steps of each run."""
    batch_size: PositiveInteger
    """Examples in a step."""
    learning_rate: Annotated[Number, Field(gt=0)]
    """Peak learning rate of AdamW."""
    lora_rank: PositiveInteger
    """Rank of LoRA (https://arxiv.org/abs/2106.09685), on every linear layer."""
    dpo_beta: Annotated[Number, Field(gt=0)]
    """Beta of DPO (https://arxiv.org/abs/2305.18290)."""
    checkpoint_every: PositiveInteger
    """Steps between checkpoints from which a killed run resumes."""
