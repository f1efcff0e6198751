"""Trains a model on few examples, towards sycophancy and away from it: LoRA by SFT and by DPO.

    python stages/tune.py one_cause

Reads the model, the prompts of the set that the first of `interventions.vectors` is made from, the
tiny sets of data/contrast, and `tuning` of params.yaml; writes data/adapters/MODEL, a folder a run
as peft reads it (adapter_model.safetensors) with run.json beside it, weak.json: what the weak
reader gets wrong, and teachers.parquet: which prompts were distilled. A run that is in `.work`
already is not trained again, and one that was cut off is gone on with.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.atomic_files import atomic_write, write_table
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest
from sycophancy_steering.tuning.contrast_sets import read_contrast, directed
from sycophancy_steering.tuning.distillation import distilled_prompts, distillation_examples
from sycophancy_steering.tuning.training_runs import PAIRS, Example, TrainingRun, training_runs, pair_examples, training_settings
from sycophancy_steering.tuning.training import n_threads, train
from sycophancy_steering.tuning.weak_labeller import weak_labels, write_weak_labels

LIBRARIES = "accelerate", "datasets", "peft", "trl"


@command(__doc__, model="an entry of tuning.models in params.yaml")
def main(model: str) -> None:
    settings = read_section(TuningSettings, "tuning")
    placement = read_section(ModelSettings, "model", model)
    reading, study = read_section(ActivationSettings, "activations"), read_study(model)
    prompt_set, pool = study.prompt_set, study.example_pool()
    if max(settings.examples) + settings.distil > len(pool):
        raise InputError(
            f"params.yaml: tuning: expected at most {len(pool)} examples and questions to distil "
            f"together, as many as {prompt_set} has, found {max(settings.examples)} and "
            f"{settings.distil}"
        )
    contrasts = {name: read_contrast(name) for name in settings.contrasts}
    wrong = weak_labels(settings.weak, prompt_set)
    every = [*training_runs(settings, {name: len(each) for name, each in contrasts.items()})]
    folder = Path(f"data/models/{model}")
    sections = settings, placement, study.settings, reading
    held = [folder, Path(f"data/labels/{model}/{study.evaluation_set}.parquet")]
    held += [Path(f"data/prompts/{each}.parquet") for each in (prompt_set, study.evaluation_set)]
    key = digest(
        [
            *(str(asdict(each)) for each in sections),
            *held,
            *code_and_libraries("tuning.distillation"),
        ]
    )
    taught_at = cache_path("teachings", key, ".jsonl")
    taught = distillation_examples(study, settings, taught_at)

    def examples_of(run: TrainingRun) -> list[Example]:
        if run.training_set != PAIRS:
            return directed(contrasts[run.training_set], run.towards)
        if run.method == "distillation":
            return taught(run)
        return pair_examples(run, pool, wrong.mislabelled)

    # What a run hangs on, so that one more of them trains no other again.
    how = [str(training_settings(settings)), str(asdict(placement)), str(n_threads())]
    same = digest([*how, *map(_version, LIBRARIES), folder, *code_and_libraries("tuning.training")])
    places = {
        run: cache_path("tuning", digest([same, run.name, str(examples_of(run))]), "")
        for run in every
    }
    made, resumed = train_all(places, examples_of, folder, placement, settings)
    with atomic_write(Path(f"data/adapters/{model}")) as draft:
        for run, at in places.items():
            shutil.copytree(at / "adapter", draft / run.name)
        write_weak_labels(draft, wrong)
        write_table(draft / "teachers.parquet", pl.DataFrame(distilled_prompts(taught_at)))
    taken = len(every) - made
    print(f"{model}: {len(every)} runs of {settings.steps} steps, {taken} taken from .work")
    for name, done in resumed.items():
        print(f"  {name}: gone on with at step {done} of {settings.steps}")
    print(
        f"  the weak reader takes {len(wrong.mislabelled) / wrong.n_pairs:.0%} of the pairs for one another"
    )


def train_all(
    places: dict[TrainingRun, Path],
    examples_of: Callable[[TrainingRun], list[Example]],
    folder: Path,
    placement: ModelSettings,
    settings: TuningSettings,
) -> tuple[int, dict[str, int]]:
    """Trains what is not in its place yet: how many, and at which step those that had begun."""
    missing = {run: at for run, at in places.items() if not (at / "done").exists()}
    resumed: dict[str, int] = {}
    with tqdm(total=len(missing) * settings.steps, unit="step", disable=None) as bar:
        for run, at in missing.items():
            bar.set_description(run.name)
            if done := train(run, examples_of(run), folder, placement, settings, at, bar):
                resumed[run.name] = done
            (at / "done").touch()
            for checkpoint in at.glob("checkpoint-*"):
                shutil.rmtree(checkpoint)
    return len(missing), resumed


def _version(library: str) -> str:
    return f"{library} {version(library)}"


if __name__ == "__main__":
    main()
