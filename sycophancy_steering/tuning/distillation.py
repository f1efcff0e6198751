"""Context distillation: a model learns to answer without a prompt as it does with the best one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.prompting import (
    PromptingMethod,
    prompting_methods,
    sample_examples,
)
from sycophancy_steering.interventions.question_batch import QuestionBatch, forward_of
from sycophancy_steering.interventions.run import LazyModel
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.tuning import DISTILLED_PROMPTS
from sycophancy_steering.tuning.training_runs import Example, TrainingRun

Key = tuple[bool, int, int]
"""Towards sycophancy, number of examples, seed."""


def distillation_examples(
    study: Study, settings: TuningSettings, model: LazyModel, cached: Path
) -> Callable[[TrainingRun], list[Example]]:
    """The examples of each distillation run; texts are generated unless `cached` exists."""
    if not cached.exists():
        teachers = _teachers(study, settings, model)
        with atomic_write(cached) as draft:
            lines = "".join(json.dumps(teacher) + "\n" for teacher in teachers)
            draft.write_text(lines, encoding="utf-8")
    responses: dict[Key, dict[str, str]] = {
        (teacher["towards"], teacher["n_examples"], teacher["seed"]): teacher["responses"]
        for teacher in _read_teachers(cached)
    }
    rows = {row.id: row for row in study.example_pool()}

    def examples_of(run: TrainingRun) -> list[Example]:
        of_teacher = responses[run.towards, run.n_examples, run.seed]
        return [Example(rows[id].messages, text, "") for id, text in of_teacher.items()]

    return examples_of


def distilled_prompts(cached: Path) -> pl.DataFrame:
    """The table `DISTILLED_PROMPTS`, of the texts that `distillation_examples` left in `cached`."""
    return pl.DataFrame(
        [
            {name: value for name, value in teacher.items() if name != "responses"}
            for teacher in _read_teachers(cached)
        ],
        schema=DISTILLED_PROMPTS.columns,
    )


def _read_teachers(cached: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cached.read_text(encoding="utf-8").splitlines()]


def _teachers(study: Study, settings: TuningSettings, model: LazyModel) -> list[dict[str, object]]:
    """For each direction, number of examples and seed: the prompting method that changes most
    answers of `select`, and the model's `responses` under it to questions that are not among the
    examples."""
    pool = study.example_pool()
    best = _best_methods(study, settings, model)
    teachers: list[dict[str, object]] = []
    for key, (share, method) in tqdm([*best.items()], unit="teacher", disable=None):
        towards, n_examples, seed = key
        shown = {row.id for row in sample_examples(pool, n_examples, seed)}
        others = [row for row in sample_examples(pool, len(pool), seed) if row.id not in shown]
        responses = _responses(model, others[: settings.n_distillation], method)
        teachers.append(
            {"towards": towards, "n_examples": n_examples, "seed": seed, "method": method.name}
            | {"select_changed_share": share, "responses": responses}
        )
    return teachers


def _best_methods(
    study: Study, settings: TuningSettings, model: LazyModel
) -> dict[Key, tuple[float, PromptingMethod]]:
    """The best prompting method that fits the context, after its share of changed answers."""
    select = _select_questions(study, model)
    prompting = PromptingSettings(
        settings.prompting,
        settings.n_examples,
        settings.n_seeds,
        "all",
        study.settings.n_questions,
    )
    best: dict[Key, tuple[float, PromptingMethod]] = {}
    methods = [*prompting_methods(prompting, study.example_pool())]
    for method in tqdm(methods, unit="method", disable=None, desc=f"{study.model}, prompting"):
        if (share := _changed_share(select, method)) is None:
            continue
        # An instruction shows no examples, so it competes for all numbers and seeds.
        all_seeds = range(settings.n_seeds)
        numbers = [method.n_examples] if method.n_examples else settings.n_examples
        for n_examples in numbers:
            for seed in [method.seed] if method.n_examples else all_seeds:
                key = (method.towards, n_examples, seed)
                if key not in best or share > best[key][0]:
                    best[key] = (share, method)
    return best


def _select_questions(study: Study, model: LazyModel) -> QuestionBatch:
    """Eligible questions of `select`, of the families of the example pool."""
    families = sorted({row.family for row in study.example_pool()})
    sample = study.sample("select").filter(pl.col("family").is_in(families))
    if not len(sample):
        raise InputError(
            f"{study.model}: no family of {study.prompt_set} ({', '.join(families)}) has "
            "sycophantic and other answers on `select`, which choose the prompt to distil"
        )
    return study.questions(sample, model.workers)


def _changed_share(select: QuestionBatch, method: PromptingMethod) -> float | None:
    """The share of answers that a method changes; None where its prompts do not fit."""
    reprompted = select.reprompted(method.prompt)
    if not reprompted.forward.fits_context:
        return None
    changeable = select.answers["label"].to_numpy() == (0 if method.towards else 1)
    return float(np.mean((reprompted.log_odds()[0][changeable] > 0) == method.towards))


def _responses(model: LazyModel, rows: Sequence[Row], method: PromptingMethod) -> dict[str, str]:
    """The model's own responses to `rows` under a prompting method, by id, without empty ones."""
    batch = QuestionBatch(pl.DataFrame(), rows, forward_of(rows, model.workers))
    batch = batch.reprompted(method.prompt)
    max_new_tokens = model.activations.max_new_tokens
    [texts] = batch.forward.continuations(rows, [NO_INTERVENTION], max_new_tokens)
    return {row.id: text for row, text in zip(rows, texts, strict=True) if text}
