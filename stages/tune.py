"""Fine-tunes a model on few examples, towards sycophancy and away from it.

    python stages/tune.py one_cause

Reads the model, the prompts of the set of the suite's first vector, the contrast sets
of data/contrast, and `tuning` of params.yaml; writes data/adapters/MODEL: a LoRA adapter a run, for
peft (adapter_model.safetensors), with run.json beside it; weak_labels.json (the errors of the weak
labeller); and distilled_prompts.parquet. Finished runs are taken from `.work`; a killed run
resumes.
"""

from __future__ import annotations

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.run import LazyModel
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.tuning.tune_run import train_adapters


@command(__doc__, model="an entry of tuning.models in params.yaml")
def main(model: str) -> None:
    settings = read_section(TuningSettings, "tuning")
    trained = train_adapters(read_study(model), settings, LazyModel.from_params(model))
    print(
        f"{model}: {trained.n_runs} runs of {settings.steps} steps, "
        f"{trained.n_cached} taken from .work"
    )
    for name, step in trained.resumed_at.items():
        print(f"  {name}: resumed at step {step} of {settings.steps}")
    if (weak := trained.weak_labels).n_pairs:
        share = len(weak.mislabelled) / weak.n_pairs
        print(f"  the weak labeller mislabels {share:.0%} of the pairs")


if __name__ == "__main__":
    main()
