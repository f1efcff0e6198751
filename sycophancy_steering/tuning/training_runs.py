"""Training as a baseline: on how many examples, in which direction, by whose labels.

A run is one model trained in one way. All runs are of the same examples that vectors are made from
and prompts show (`prompting.drawn_examples`), so that methods are compared at equal data.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.interventions.prompting import example_answer, sample_examples
from sycophancy_steering.questions.question import Row, Turn

Method = Literal["sft", "dpo", "distillation"]
METHODS: tuple[Method, ...] = ("sft", "dpo", "distillation")
"""Supervised fine-tuning on the wanted answers; direct preference optimisation (Rafailov et al.
2023, https://arxiv.org/abs/2305.18290) on both; context distillation (Snell et al. 2022,
https://arxiv.org/abs/2209.15189) of the best prompt."""
LABEL_METHODS: tuple[Method, ...] = ("sft", "dpo")
"""Those that are trained on others' labels too."""
PAIRS, TRUE_LABELS, WEAK_LABELS = "pairs", "true", "weak"


def training_settings(settings: TuningSettings) -> dict[str, float]:
    """The settings that all runs share."""
    keys = ("steps", "batch_size", "learning_rate", "lora_rank", "dpo_beta", "checkpoint_every")
    return {key: getattr(settings, key) for key in keys}


def label_sources(settings: TuningSettings) -> list[str]:
    """Whose labels examples have, besides the true ones."""
    return [*(f"noise {share:g}" for share in settings.label_noise), WEAK_LABELS]


class Example(NamedTuple):
    """What a run is shown once: the answer it is to give, and the one it is not."""

    turns: tuple[Turn, ...]
    chosen: str
    rejected: str


@dataclass(frozen=True)
class TrainingRun:
    """One model trained in one way."""

    method: Method
    towards: bool
    """Whether towards what the examples are of; else away from it."""
    n_examples: int
    seed: int
    label_source: str = TRUE_LABELS
    """`true`, or one of `label_sources`."""
    training_set: str = PAIRS
    """`pairs`: those that vectors are made from; or a contrast set."""

    @property
    def name(self) -> str:
        """Of its folder."""
        direction = "towards" if self.towards else "away"
        extra = [] if self.label_source == TRUE_LABELS else [self.label_source.replace(" ", "-")]
        extra += [] if self.training_set == PAIRS else [self.training_set]
        parts = [self.method, direction, str(self.n_examples), f"seed-{self.seed}", *extra]
        return "_".join(parts)


def training_runs(settings: TuningSettings, sizes: dict[str, int]) -> Iterator[TrainingRun]:
    """All that is trained; `sizes` says how many examples each contrast set has."""
    most = max(settings.n_examples)
    for towards in (True, False):
        for seed in range(settings.n_seeds):
            for method in METHODS:
                for count in settings.n_examples:
                    yield TrainingRun(method, towards, count, seed)
            for on in settings.contrast_sets:
                yield TrainingRun("sft", towards, sizes[on], seed, training_set=on)
            for method in LABEL_METHODS:
                for labels in label_sources(settings):
                    yield TrainingRun(method, towards, most, seed, labels)


def pair_examples(run: TrainingRun, pool: Sequence[Row], read_wrong: Collection[str]) -> list[Example]:
    """The examples of a run on `pairs`; `read_wrong` holds the ids whose answers the weak reader
    takes for one another."""
    found = []
    for row in sample_examples(pool, run.n_examples, run.seed):
        towards = run.towards != is_mislabelled(row.id, run.label_source, run.seed, read_wrong)
        found.append(Example(row.messages, example_answer(row, towards), example_answer(row, not towards)))
    return found


def is_mislabelled(row: str, labels: str, seed: int, read_wrong: Collection[str]) -> bool:
    """Whether a question's answers are taken for one another by who gives the `labels`."""
    if labels == WEAK_LABELS:
        return row in read_wrong
    if labels == TRUE_LABELS:
        return False
    return random.Random(f"{seed} {row}").random() < float(labels.partition(" ")[2])
