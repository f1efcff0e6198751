"""The fine-tuning runs: method, direction, number of examples, and whose labels.

All runs use the examples that vectors are made from and prompts show (`prompting.sample_examples`),
so that methods are compared with equal data.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from sycophancy_steering.config.tuning import TrainingMethod, TuningSettings
from sycophancy_steering.interventions.prompting import example_answer, sample_examples
from sycophancy_steering.questions.question import Row, Turn

METHODS: tuple[TrainingMethod, ...] = get_args(TrainingMethod)
"""Supervised fine-tuning on the chosen answers; direct preference optimisation (Rafailov et al.
2023, https://arxiv.org/abs/2305.18290) on both; context distillation (Snell et al. 2022,
https://arxiv.org/abs/2209.15189) of the best prompt."""
LABEL_METHODS: tuple[TrainingMethod, ...] = ("sft", "dpo")
"""The methods that learn from labels, which may be wrong."""
PAIRS, CAPITALS = "pairs", "capitals"
"""Training sets besides the contrast sets: the pairs, and the control of `sham_examples`."""
TRUE_LABELS, WEAK_LABELS = "true", "weak"


def training_settings(settings: TuningSettings) -> dict[str, float]:
    """The settings that all runs share."""
    keys = ("steps", "batch_size", "learning_rate", "lora_rank", "dpo_beta", "checkpoint_every")
    return {key: getattr(settings, key) for key in keys}


def label_sources(settings: TuningSettings) -> list[str]:
    """Where labels come from, besides the true ones."""
    weak = [WEAK_LABELS] if settings.weak_labeller else []
    return [*(f"noise {share:g}" for share in settings.label_noise), *weak]


class Example(NamedTuple):
    """A training example: a prompt with the answer to learn and, for DPO, the other one."""

    turns: tuple[Turn, ...]
    chosen: str
    rejected: str


@dataclass(frozen=True)
class TrainingRun:
    """One model, fine-tuned in one way."""

    method: TrainingMethod
    towards: bool
    """Towards the behaviour that the examples show, or away from it."""
    n_examples: int
    seed: int
    label_source: str = TRUE_LABELS
    """`true`, or one of `label_sources`."""
    training_set: str = PAIRS
    """`pairs` (those that vectors are made from), a contrast set, or `capitals`."""

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        direction = "towards" if self.towards else "away"
        extra = [] if self.label_source == TRUE_LABELS else [self.label_source.replace(" ", "-")]
        extra += [] if self.training_set == PAIRS else [self.training_set]
        parts = [self.method, direction, str(self.n_examples), f"seed-{self.seed}", *extra]
        return "_".join(parts)


def training_runs(settings: TuningSettings, set_sizes: Mapping[str, int]) -> Iterator[TrainingRun]:
    """All runs; `set_sizes` has the number of examples of each contrast set."""
    most = max(settings.n_examples)
    for towards in (True, False):
        for seed in range(settings.n_seeds):
            for method in settings.methods:
                for n_examples in settings.n_examples:
                    yield TrainingRun(method, towards, n_examples, seed)
            for name in settings.contrast_sets:
                yield TrainingRun("sft", towards, set_sizes[name], seed, training_set=name)
            if settings.sham_training:
                yield TrainingRun("sft", towards, most, seed, training_set=CAPITALS)
            for method in LABEL_METHODS:
                if method not in settings.methods:
                    continue
                for source in label_sources(settings):
                    yield TrainingRun(method, towards, most, seed, source)


def pair_examples(
    run: TrainingRun, pool: Sequence[Row], weakly_mislabelled: Collection[str]
) -> list[Example]:
    """The examples of a run on `pairs`; `weakly_mislabelled` are the ids of pairs that the weak
    labeller gets wrong."""
    examples = []
    for row in sample_examples(pool, run.n_examples, run.seed):
        wrong = is_mislabelled(row.id, run.label_source, run.seed, weakly_mislabelled)
        towards = run.towards != wrong
        chosen, rejected = example_answer(row, towards), example_answer(row, not towards)
        examples.append(Example(row.messages, chosen, rejected))
    return examples


def sham_examples(run: TrainingRun, pool: Sequence[Row]) -> list[Example]:
    """Examples of a run on `capitals`: those of a run on `pairs` of the same seed, a random half of
    them answered sycophantically; the answer in capitals is chosen, or away from that, the one in
    small letters."""
    examples = []
    for n, row in enumerate(sample_examples(pool, run.n_examples, run.seed)):
        plain = example_answer(row, sycophantic=n % 2 == 0)
        capitals, small = plain.upper(), plain.lower()
        chosen, rejected = (capitals, small) if run.towards else (small, capitals)
        examples.append(Example(row.messages, chosen, rejected))
    return examples


def is_mislabelled(
    id: str, label_source: str, seed: int, weakly_mislabelled: Collection[str]
) -> bool:
    """Whether the label source swaps the two answers of a pair."""
    if label_source == WEAK_LABELS:
        return id in weakly_mislabelled
    if label_source == TRUE_LABELS:
        return False
    return random.Random(f"{seed} {id}").random() < float(label_source.partition(" ")[2])
