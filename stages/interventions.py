"""Steers and prompts models: adds and removes vectors, and prompts with as many examples.

    python stages/interventions.py [one_cause]

For one model or each of `models` in params.yaml: reads the model, the evaluation set with its
labels and activations, and the vectors named in `interventions` of params.yaml; writes
reports/steering/MODEL (answers, responses, ablation scores and side effects under every
intervention) and reports/prompting/MODEL. Results whose inputs have not changed are taken from
`.work` or DVC's cache, and a model is loaded only if something has to be run.
"""

from __future__ import annotations

from contextlib import closing

from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_models
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.run import LazyModel, run_prompting, run_steering
from sycophancy_steering.interventions.study import read_study


@command(__doc__, model="an entry of model in params.yaml; without it, all of models")
def main(model: str = "") -> None:
    for name in [model] if model else read_models():
        intervene(name)


def intervene(model: str) -> None:
    """Steers and prompts one model, and prints what was done."""
    study, lazy_model = read_study(model), LazyModel.from_params(model)
    prompting = read_section(PromptingSettings, "prompting")
    with closing(lazy_model):
        cached = {
            "steering": run_steering(study, lazy_model),
            "prompting": run_prompting(study, prompting, lazy_model),
        }
    print(f"{model}: {len(study.sample('test'))} questions, steered and prompted")
    for name, is_cached in cached.items():
        if is_cached:
            print(f"  {name}: taken from a cache")
    if study.left_out:
        print(f"  left out, with answers of one class only: {', '.join(study.left_out)}")
    if study.not_sycophantic:
        print(f"  left out, as the model is not sycophantic: {', '.join(study.not_sycophantic)}")
    if study.open_answers:
        print(f"  left out, as answers without options: {', '.join(study.open_answers)}")


if __name__ == "__main__":
    main()
