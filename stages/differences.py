"""Makes vectors of what fine-tuning changed, and compares them with the prompts' vector.

    python stages/differences.py one_cause

Reads data/adapters/MODEL, the model, the prompts of the set of the first of
the suite's vectors, that vector, and the evaluation set with its labels and activations; writes
data/differences/MODEL (a safetensors file a method, training set and seed) and
reports/differences/MODEL: cosines.csv, predictivity.csv (of the plain model's answers) and
after_training.csv (predictivity in models trained away from sycophancy).
"""

from __future__ import annotations

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.run import LazyModel
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.tuning.difference_run import run_differences


@command(__doc__, model="an entry of tuning.models in params.yaml")
def main(model: str) -> None:
    settings = read_section(TuningSettings, "tuning")
    n_vectors, n_away = run_differences(read_study(model), settings, LazyModel.from_params(model))
    print(f"{model}: {n_vectors} difference vectors, {n_away} models trained away from sycophancy")


if __name__ == "__main__":
    main()
