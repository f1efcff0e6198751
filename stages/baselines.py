"""Compares fine-tuned models with steering and prompting on the same questions.

    python stages/baselines.py one_cause

Reads data/adapters/MODEL, the evaluation set with its labels, the prompts and activations of the
set of the suite's first vector, and `tuning` of params.yaml; writes
reports/baselines/MODEL: answers.parquet (log-odds without and with each method),
side_effects.parquet and weak_vectors.parquet (vectors from mislabelled pairs).
"""

from __future__ import annotations

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.run import LazyModel
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.tuning.baseline_run import run_baselines


@command(__doc__, model="an entry of tuning.models in params.yaml")
def main(model: str) -> None:
    settings, study = read_section(TuningSettings, "tuning"), read_study(model)
    n_questions, n_runs = run_baselines(study, settings, LazyModel.from_params(model))
    print(f"{model}: {n_questions} questions, {n_runs} runs, each with and without steering")
    if study.left_out:
        print(f"  left out, with answers of one class only: {', '.join(study.left_out)}")


if __name__ == "__main__":
    main()
