"""Training as a baseline: on how many examples, in which direction, by whose labels.

A run is one model trained in one way. All runs are of the same examples that vectors are made from
and prompts show (`prompting.drawn_examples`), so that methods are compared at equal data.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.prompting import answer_of, drawn_examples
from sycophancy_steering.questions.question import Row, Turn

Method = Literal["sft", "dpo", "distillation"]
METHODS: tuple[Method, ...] = ("sft", "dpo", "distillation")
"""Supervised fine-tuning on the wanted answers; direct preference optimisation (Rafailov et al.
2023, https://arxiv.org/abs/2305.18290) on both; context distillation (Snell et al. 2022,
https://arxiv.org/abs/2209.15189) of the best prompt."""
BY_LABELS: tuple[Method, ...] = ("sft", "dpo")
"""Those that are trained on others' labels too."""
PAIRS, TRUE, WEAK = "pairs", "true", "weak"


@dataclass(frozen=True)
class WeakReader:
    """A model cut off after a layer: which of two answers is the sycophantic one is told by where
    their states lie along its own vector."""

    model: str
    layer: int


@dataclass(frozen=True)
class Tuning:
    """`tuning` in params.yaml."""

    models: list[str]
    """Those of `models` that are trained."""
    examples: list[int]
    """How many pairs each run is shown."""
    seeds: int
    """Draws of the examples, each with its own start and order."""
    noise: list[float]
    """Shares of the examples whose answers are swapped: a grader who errs."""
    weak: WeakReader
    """Another grader, whose errors are a weaker model's."""
    contrasts: list[str]
    """Tiny contrast sets, data/contrast/NAME.jsonl; the first is of sycophancy, the others are
    controls."""
    distil: int
    """Questions that the model, shown the best prompt, answers for its distillation: without
    labels, and beside the examples."""
    steps: int
    batch: int
    learning_rate: float
    rank: int
    """Of LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685), on every linear layer."""
    beta: float
    """Of DPO."""
    keep_every: int
    """Steps after which a run can be gone on with."""

    def __post_init__(self) -> None:
        for key in ("seeds", "distil", "steps", "batch", "rank", "keep_every"):
            if (value := getattr(self, key)) < 1:
                raise InputError(f"params.yaml: tuning.{key}: expected at least 1, found {value}")
        if min(self.examples) < 1:
            raise InputError(
                f"params.yaml: tuning.examples: expected at least 1, found {self.examples}"
            )
        if not all(0 < share <= 0.5 for share in self.noise):
            raise InputError(
                "params.yaml: tuning.noise: expected shares above 0 and up to 0.5, found "
                f"{self.noise}"
            )

    @property
    def training(self) -> dict[str, float]:
        """What every run has in common."""
        keys = ("steps", "batch", "learning_rate", "rank", "beta", "keep_every")
        return {key: getattr(self, key) for key in keys}

    @property
    def graders(self) -> list[str]:
        """Whose labels examples have, beside the true ones."""
        return [*(f"noise {share:g}" for share in self.noise), WEAK]


class Example(NamedTuple):
    """What a run is shown once: the answer it is to give, and the one it is not."""

    turns: tuple[Turn, ...]
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Run:
    """One model trained in one way."""

    method: Method
    towards: bool
    """Whether towards what the examples are of; else away from it."""
    examples: int
    seed: int
    labels: str = TRUE
    """`true`, or one of `Tuning.graders`."""
    on: str = PAIRS
    """`pairs`: those that vectors are made from; or a contrast set."""

    @property
    def name(self) -> str:
        """Of its folder."""
        direction = "towards" if self.towards else "away"
        extra = [] if self.labels == TRUE else [self.labels.replace(" ", "-")]
        extra += [] if self.on == PAIRS else [self.on]
        parts = [self.method, direction, str(self.examples), f"seed-{self.seed}", *extra]
        return "_".join(parts)


def runs(settings: Tuning, sizes: dict[str, int]) -> Iterator[Run]:
    """All that is trained; `sizes` says how many examples each contrast set has."""
    most = max(settings.examples)
    for towards in (True, False):
        for seed in range(settings.seeds):
            for method in METHODS:
                for count in settings.examples:
                    yield Run(method, towards, count, seed)
            for on in settings.contrasts:
                yield Run("sft", towards, sizes[on], seed, on=on)
            for method in BY_LABELS:
                for labels in settings.graders:
                    yield Run(method, towards, most, seed, labels)


def shown_pairs(run: Run, pool: Sequence[Row], read_wrong: Collection[str]) -> list[Example]:
    """The examples of a run on `pairs`; `read_wrong` holds the ids whose answers the weak reader
    takes for one another."""
    found = []
    for row in drawn_examples(pool, run.examples, run.seed):
        towards = run.towards != mislabelled(row.id, run.labels, run.seed, read_wrong)
        found.append(Example(row.messages, answer_of(row, towards), answer_of(row, not towards)))
    return found


def mislabelled(row: str, labels: str, seed: int, read_wrong: Collection[str]) -> bool:
    """Whether a question's answers are taken for one another by who gives the `labels`."""
    if labels == WEAK:
        return row in read_wrong
    if labels == TRUE:
        return False
    return random.Random(f"{seed} {row}").random() < float(labels.partition(" ")[2])
