"""Trains all adapters of a model, taken from the cache where nothing has changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.atomic_files import atomic_write, write_table
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.interventions.run import LazyModel
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.schemas.paths import PROMPTS
from sycophancy_steering.schemas.tuning import DISTILLED_PROMPTS
from sycophancy_steering.storage.locks import waiting_lock
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest
from sycophancy_steering.tuning.contrast_sets import directed, read_contrast
from sycophancy_steering.tuning.distillation import distillation_examples, distilled_prompts
from sycophancy_steering.tuning.trained_models import ADAPTERS
from sycophancy_steering.tuning.training import Trainable, n_threads, train
from sycophancy_steering.tuning.training_runs import (
    CAPITALS,
    PAIRS,
    Example,
    TrainingRun,
    pair_examples,
    sham_examples,
    training_runs,
    training_settings,
)
from sycophancy_steering.tuning.weak_labeller import (
    NO_WEAK_LABELS,
    WeakLabels,
    weak_labels,
    write_weak_labels,
)

LIBRARIES = ("accelerate", "datasets", "peft", "trl")
"""Libraries that training uses, beyond those that the code imports."""
DONE = "done"
"""An empty file in the cached folder of a finished run."""


@dataclass(frozen=True)
class TrainingSummary:
    """What was trained."""

    n_runs: int
    n_cached: int
    resumed_at: Mapping[str, int]
    """By run, the step that a killed run resumed at."""
    weak_labels: WeakLabels


def train_adapters(study: Study, settings: TuningSettings, model: LazyModel) -> TrainingSummary:
    """Trains all runs and writes data/adapters/MODEL: a folder a run, the weak labeller's errors
    and the distilled prompts. Raises InputError where there are too few pairs."""
    pool = study.example_pool()
    n_distillation = settings.n_distillation if "distillation" in settings.methods else 0
    if max(settings.n_examples) + n_distillation > len(pool):
        raise InputError(
            f"params.yaml: tuning: expected n_examples and n_distillation of at most {len(pool)} "
            f"together (the pairs of {study.prompt_set}), found {max(settings.n_examples)} and "
            f"{n_distillation}"
        )
    contrasts = {name: read_contrast(name) for name in settings.contrast_sets}
    labels = NO_WEAK_LABELS
    if settings.weak_labeller:
        labels = weak_labels(settings.weak_labeller, study.prompt_set)
    teachers = cache_path("distillation", _distillation_key(study, settings, model), ".jsonl")
    distilled = None
    if "distillation" in settings.methods:
        with waiting_lock(teachers.stem, f"{model.name}: texts to distil"):
            distilled = distillation_examples(study, settings, model, teachers)

    def examples_of(run: TrainingRun) -> list[Example]:
        if run.training_set == CAPITALS:
            return sham_examples(run, pool)
        if run.training_set != PAIRS:
            return directed(contrasts[run.training_set], run.towards)
        if distilled and run.method == "distillation":
            return distilled(run)
        return pair_examples(run, pool, labels.mislabelled)

    shared_key = _training_key(settings, model)
    set_sizes = {name: len(examples) for name, examples in contrasts.items()}
    folders = {
        run: cache_path("tuning", digest([shared_key, run.name, str(examples_of(run))]), "")
        for run in training_runs(settings, set_sizes)
    }
    trainable = Trainable(model.folder, model.settings, settings)
    n_trained, resumed_at = _train_missing(folders, examples_of, trainable)
    adapters = ADAPTERS / model.name
    with atomic_write(adapters) as draft:
        for run, folder in folders.items():
            shutil.copytree(folder / "adapter", draft / run.name)
        write_weak_labels(draft, labels)
        path = DISTILLED_PROMPTS.path(model=model.name)
        prompts = distilled_prompts(teachers) if n_distillation else DISTILLED_PROMPTS.empty()
        table = DISTILLED_PROMPTS.checked(prompts, path)
        write_table(draft / path.name, table)
    return TrainingSummary(len(folders), len(folders) - n_trained, resumed_at, labels)


def _distillation_key(study: Study, settings: TuningSettings, model: LazyModel) -> str:
    """Digest of everything that the distilled texts depend on."""
    parts = (settings, model.settings, study.settings, model.activations)
    inputs = [model.folder, study.labels_file, study.prompts]
    inputs.append(PROMPTS / f"{study.prompt_set}.parquet")
    code = code_and_libraries("tuning.distillation")
    return digest([*(str(asdict(part)) for part in parts), *inputs, *code])


def _training_key(settings: TuningSettings, model: LazyModel) -> str:
    """Digest of everything that all runs depend on; not of the other runs, so that adding one
    trains no other again."""
    parts = [str(training_settings(settings)), str(asdict(model.settings)), str(n_threads())]
    libraries = [f"{library} {version(library)}" for library in LIBRARIES]
    return digest([*parts, *libraries, model.folder, *code_and_libraries("tuning.training")])


def _train_missing(
    folders: Mapping[TrainingRun, Path],
    examples_of: Callable[[TrainingRun], list[Example]],
    trainable: Trainable,
) -> tuple[int, dict[str, int]]:
    """Trains the runs whose folder is not complete: how many, and the steps that killed runs
    resumed at."""
    missing = {run: folder for run, folder in folders.items() if not (folder / DONE).exists()}
    n_trained = 0
    resumed_at: dict[str, int] = {}
    total = len(missing) * trainable.settings.steps
    with tqdm(total=total, unit="step", disable=None) as bar:
        for run, folder in missing.items():
            with waiting_lock(folder.name, run.name):
                if (folder / DONE).exists():  # by a run that this one has waited for
                    continue
                bar.set_description(run.name)
                if step := train(run, examples_of(run), trainable, folder, bar):
                    resumed_at[run.name] = step
                (folder / DONE).touch()
                n_trained += 1
                for checkpoint in folder.glob("checkpoint-*"):
                    shutil.rmtree(checkpoint)
    return n_trained, resumed_at
