"""`tuning` of params.yaml: fine-tuning as a baseline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.interventions import PromptingMethodName
from sycophancy_steering.config.section import (
    SECTION,
    Distinct,
    Integer,
    Number,
    PositiveInteger,
    SomeDistinct,
    Switch,
    Text,
)

TrainingMethod = Literal["sft", "dpo", "distillation"]


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
    methods: SomeDistinct[TrainingMethod]
    """How models are trained: `sft` and `dpo` on the pairs, `distillation` on answers of their own
    under the best prompt."""
    prompting: Distinct[PromptingMethodName]
    """Ways of prompting, and of steering with as many examples, that are compared with training."""
    label_noise: Distinct[Annotated[Number, Field(gt=0, le=0.5)]]
    """Shares of the pairs whose two answers are swapped."""
    weak_labeller: WeakLabeller | None
    """A weaker model whose labels runs are trained on too, or none."""
    contrast_sets: Distinct[Text]
    """data/contrast/NAME.jsonl: the first shows sycophancy, the others are controls."""
    sham_training: Switch
    """Whether models are also trained to write in capitals, or in small letters, on the same
    questions: a control with as much data, which says nothing of sycophancy."""
    n_distillation: PositiveInteger
    """Unlabelled questions that the model answers under the best prompt, for distillation."""
    n_readout: PositiveInteger
    """Answers of each family and class, at most, that are read in models trained away from
    sycophancy."""
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
