"""Asks the models that `tune` trained: are they better than steering, or prompts, of as much data?

    python stages/baselines.py one_cause

Reads data/adapters/MODEL, the `evaluation_set` and its labels, the prompts and activations of the
set that the first of `interventions.vectors` is made from, and `tuning` of params.yaml; writes, in
reports/baselines/MODEL, `answers.parquet` (every answer's log-odds, as it is and under each way)
and `costs.parquet` (what becomes of facts and of ordinary text).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.activations.token_budget import batch_tokens
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.atomic_files import atomic_write, write_table
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.prompting_run import prompted_answers
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.tuning.baselines import BaselineComparison, TrainedModels, prompting_rows, runs_on_pairs, steering_runs
from sycophancy_steering.tuning.contrast_sets import read_contrast
from sycophancy_steering.tuning.training_runs import training_runs
from sycophancy_steering.tuning.weak_labeller import read_mislabelled
from sycophancy_steering.tuning.weak_vectors import weak_vector_predictivity


@command(__doc__, model="an entry of tuning.models in params.yaml")
def main(model: str) -> None:
    settings, study = read_section(TuningSettings, "tuning"), read_study(model)
    tuned = TrainedModels(model, read_section(ModelSettings, "model", model))
    plain = tuned.plain()
    budget = batch_tokens(plain, read_section(ActivationSettings, "activations"))
    beside = BaselineComparison(tuned, study, read_mislabelled(Path(f"data/adapters/{model}")), budget)
    sizes = {name: len(read_contrast(name)) for name in settings.contrasts}
    steered = beside.steered_answers(plain, settings)
    told = PromptingSettings(settings.examples, settings.seeds), study.settings.where, beside.steering_vector
    ways = prompting_rows(prompted_answers(model, plain, *told, beside.questions, study.evaluation_set, budget))
    as_it_is = beside.plain_results(plain)
    del plain
    trained = beside.trained_answers(runs_on_pairs([*training_runs(settings, sizes)]), as_it_is)
    test = study.answers.filter(pl.col("split") == "test")
    few = [run for run in steering_runs(settings) if run.towards]
    weak = weak_vector_predictivity(few, beside.vector_of, beside.examples_of, study.activations, test)
    with atomic_write(Path(f"reports/baselines/{model}")) as draft:
        draft.mkdir()
        write_table(draft / "answers.parquet", pl.concat([trained[0], steered[0], ways]))
        write_table(draft / "costs.parquet", pl.concat([steered[1], trained[1]]))
        write_table(draft / "weak_vectors.parquet", weak)
    count = len(trained[1])
    print(f"{model}: {len(beside.questions)} questions, {count} runs, each with and without steering")
    if study.left_out:
        print(f"  left out, with answers of one kind only: {', '.join(study.left_out)}")


if __name__ == "__main__":
    main()
