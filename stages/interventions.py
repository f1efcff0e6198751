"""Steers and prompts a model: adds and removes vectors, and prompts it with as many examples.

    python stages/interventions.py one_cause

Reads the model, the evaluation set with its labels and activations, and the vectors named in
`interventions` of params.yaml; writes reports/steering/MODEL (answers, responses, ablation scores
and side effects under every intervention) and reports/prompting/MODEL.parquet. Results whose inputs
have not changed are taken from `.work`, and the model is loaded only if something has to be run.
"""

from __future__ import annotations

from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.run import LazyModel, run_prompting, run_steering
from sycophancy_steering.interventions.study import read_study


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    study, lazy_model = read_study(model), LazyModel.from_params(model)
    prompting = read_section(PromptingSettings, "prompting")
    cached = {
        "steering": run_steering(study, lazy_model),
        "prompting": run_prompting(study, prompting, lazy_model),
    }
    print(f"{model}: {len(study.sample('test'))} questions, steered and prompted")
    for name, is_cached in cached.items():
        if is_cached:
            print(f"  {name}: taken from .work")
    if study.left_out:
        print(f"  left out, with answers of one class only: {', '.join(study.left_out)}")


if __name__ == "__main__":
    main()
