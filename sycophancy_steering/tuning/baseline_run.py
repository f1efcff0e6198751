"""Runs fine-tuned models, prompts and steering on the same questions."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.interventions.prompting_run import prompted_answers
from sycophancy_steering.interventions.run import LazyModel
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.schemas.tuning import (
    BASELINE_ANSWERS,
    BASELINE_SIDE_EFFECTS,
    BASELINE_WEAK_VECTORS,
)
from sycophancy_steering.tuning.baselines import (
    BaselineComparison,
    compared_runs,
    prompting_rows,
    steering_runs,
)
from sycophancy_steering.tuning.contrast_sets import read_contrast
from sycophancy_steering.tuning.trained_models import TrainedModels
from sycophancy_steering.tuning.training_runs import TrainingRun, training_runs
from sycophancy_steering.tuning.weak_labeller import read_mislabelled
from sycophancy_steering.tuning.weak_vectors import weak_vector_predictivity


def run_baselines(study: Study, settings: TuningSettings, model: LazyModel) -> tuple[int, int]:
    """Writes reports/baselines/MODEL; returns the numbers of questions and of fine-tuned models."""
    models = TrainedModels(model.name, model.settings, model.activations)
    plain = models.plain()
    comparison = BaselineComparison(models, study, read_mislabelled(models.adapters))
    runs = compared_runs(all_runs(settings))
    prompting = PromptingSettings(
        settings.prompting,
        settings.n_examples,
        settings.n_seeds,
        "all",
        study.settings.n_questions,
    )
    steered_answers, steered_costs = comparison.steered_answers(plain, settings)
    prompted = BASELINE_ANSWERS.empty()
    if settings.prompting:
        prompted = prompting_rows(prompted_answers(study, prompting, plain))
    plain_results = comparison.plain_results(plain)
    del plain  # no other model is in memory beside a fine-tuned one
    trained_answers, trained_costs = comparison.trained_answers(runs, plain_results)
    towards = [run for run in steering_runs(settings) if run.towards]
    names = {"model": model.name}
    BASELINE_ANSWERS.write(pl.concat([trained_answers, steered_answers, prompted]), **names)
    BASELINE_SIDE_EFFECTS.write(pl.concat([steered_costs, trained_costs]), **names)
    BASELINE_WEAK_VECTORS.write(weak_vector_predictivity(comparison, towards), **names)
    return len(comparison.questions), len(runs)


def all_runs(settings: TuningSettings) -> list[TrainingRun]:
    """All runs of the settings, with the contrast sets in data/contrast."""
    set_sizes = {name: len(read_contrast(name)) for name in settings.contrast_sets}
    return [*training_runs(settings, set_sizes)]
