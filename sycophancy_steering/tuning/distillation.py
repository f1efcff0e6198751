"""Context distillation: what a model says when shown the best prompt, to be said without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.activations.token_budget import batch_tokens
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.prompting import PromptingMethod, sample_examples, prompting_methods
from sycophancy_steering.interventions.question_batch import QuestionBatch, forward_of
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.questions.question import Row
from sycophancy_steering.tuning.training_runs import Example, TrainingRun

Key = tuple[bool, int, int]
"""Towards sycophancy or away from it, the number of examples, and their draw."""


def distillation_examples(
    study: Study, settings: TuningSettings, kept: Path
) -> Callable[[TrainingRun], list[Example]]:
    """What each run of distillation is trained on; taken from `kept`, where it is there."""
    if not kept.exists():
        found = _distillation_texts(study, settings)
        with atomic_write(kept) as draft:
            draft.write_text("".join(json.dumps(each) + "\n" for each in found), encoding="utf-8")
    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    said: dict[Key, dict[str, str]] = {
        (each["towards"], each["examples"], each["seed"]): each["said"] for each in lines
    }
    rows = {row.id: row for row in study.example_pool()}

    def examples_of(run: TrainingRun) -> list[Example]:
        held = said[run.towards, run.n_examples, run.seed]
        return [Example(rows[each].messages, text, "") for each, text in held.items()]

    return examples_of


def distilled_prompts(kept: Path) -> list[dict[str, object]]:
    """Which way of asking was distilled, for each direction, number of examples and draw."""
    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    return [{key: each[key] for key in each if key != "said"} for each in lines]


def _distillation_texts(study: Study, settings: TuningSettings) -> list[dict[str, object]]:
    """The best way of asking, of each direction, number of examples and draw, and what the model
    then says to questions that are not among the examples.

    The best is the one that turns most answers of `select`.
    """
    reading = read_section(ActivationSettings, "activations")
    placement = read_section(ModelSettings, "model", study.model)
    language_model = load_language_model(Path(f"data/models/{study.model}"), placement)
    budget = batch_tokens(language_model, reading)
    pool, select = study.example_pool(), selected(study, language_model, budget)
    prompting = PromptingSettings(settings.n_examples, settings.n_seeds)
    tried: dict[Key, list[tuple[float, PromptingMethod]]] = {}
    for way in tqdm(
        [*prompting_methods(prompting, pool)], unit="way", disable=None, desc=f"{study.model} asked"
    ):
        # An instruction takes no examples: it stands beside those that do.
        counts = [way.examples] if way.examples else settings.n_examples
        seeds = [way.seed] if way.examples else range(settings.n_seeds)
        if (share := turned_share(select, way)) is not None:
            for count in counts:
                for seed in seeds:
                    tried.setdefault((way.towards, count, seed), []).append((share, way))
    found = []
    for (towards, count, seed), each in tqdm([*tried.items()], unit="teacher", disable=None):
        share, way = max(each, key=lambda one: one[0])
        shown = {row.id for row in sample_examples(pool, count, seed)}
        asked = [row for row in sample_examples(pool, len(pool), seed) if row.id not in shown]
        said = answered(language_model, asked[: settings.n_distillation], way, reading, budget)
        found.append(
            {"towards": towards, "examples": count, "seed": seed, "way": way.name}
            | {"turned_on_select": share, "said": said}
        )
    return found


def selected(study: Study, language_model: LanguageModel, budget: int) -> QuestionBatch:
    """Questions of `select` of the families that the pool is of, both kinds of answers."""
    families = sorted({row.family for row in study.example_pool()})
    some = study.sample("select").filter(pl.col("family").is_in(families))
    if not len(some):
        raise InputError(
            f"{study.model}: no answers of both kinds on `select` among {', '.join(families)}, of "
            f"which {study.prompt_set} is; expected some, to choose a prompt to distil"
        )
    return QuestionBatch.from_answers(some, study.prompts, language_model, budget)


def turned_share(select: QuestionBatch, way: PromptingMethod) -> float | None:
    """Of answers that are the other way by themselves; None where the prompts do not fit."""
    asked = select.reprompted(way.prompt)
    if not asked.forward.fits_context:
        return None
    other = select.answers["label"].to_numpy() == (0 if way.towards else 1)
    return float(np.mean((asked.log_odds()[0][other] > 0) == way.towards))


def answered(
    language_model: LanguageModel,
    rows: Sequence[Row],
    way: PromptingMethod,
    reading: ActivationSettings,
    budget: int,
) -> dict[str, str]:
    """What the model says to each of `rows`, by its id; empty answers teach nothing."""
    asked = forward_of(rows, language_model, budget)
    rewritten = QuestionBatch(pl.DataFrame(), rows, asked, budget).reprompted(way.prompt)
    [texts] = rewritten.forward.continuations(rows, [NO_INTERVENTION], reading.max_new_tokens)
    return {row.id: text for row, text in zip(rows, texts, strict=True) if text}
