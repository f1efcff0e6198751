"""Steering and prompting of one model, taken from the cache where nothing has changed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.compute import ComputeSettings, read_compute
from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.engine.open_workers import open_workers
from sycophancy_steering.engine.workers import Workers
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.interventions.prompting_run import prompted_answers
from sycophancy_steering.interventions.side_effects import NEUTRAL
from sycophancy_steering.interventions.steering_run import STEERING_TABLES, steering_results
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.schemas.interventions import PROMPTED_ANSWERS, STEERED_ANSWERS
from sycophancy_steering.schemas.paths import ACTIVATIONS, MODELS, PROMPTS, VECTORS
from sycophancy_steering.storage.cached_folder import write_cached_folder
from sycophancy_steering.storage.result_cache import code_and_libraries, digest

FACTS = (Path("data/tables"), Path("data/questions/facts.csv"))


@dataclass(frozen=True)
class LazyModel:
    """A model that is loaded when it is first used."""

    name: str
    settings: ModelSettings
    activations: ActivationSettings
    compute: ComputeSettings
    _opened: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def from_params(cls, name: str) -> LazyModel:
        """The entry of `model` in params.yaml. Raises InputError."""
        settings = read_section(ModelSettings, "model", name)
        activations = read_section(ActivationSettings, "activations")
        return cls(name, settings, activations, read_compute())

    @property
    def folder(self) -> Path:
        """The model's files."""
        return MODELS / self.name

    @cached_property
    def workers(self) -> Workers:
        """Those that hold the loaded model."""
        opening = open_workers(self.folder, self.settings, self.activations, self.compute)
        return self._opened.enter_context(opening)

    def close(self) -> None:
        """Frees the memory of the loaded model; it is loaded again when it is next used."""
        self.__dict__.pop("workers", None)
        self._opened.close()


def run_steering(study: Study, model: LazyModel) -> bool:
    """Writes reports/steering/MODEL; returns whether it was taken from a cache."""
    names = [
        *study.suite.intervention_vectors,
        *(f"{s}/{v}" for s in study.suite.extraction_sets for v in study.settings.compared_methods),
    ]
    inputs = [model.folder, study.prompts, study.activations, study.labels_file, *FACTS, NEUTRAL]
    inputs += [VECTORS / model.name / f"{name}.safetensors" for name in names]
    layers = [study.layer_of(name) for name in study.suite.intervention_vectors]
    settings = [asdict(part) for part in (study.settings, model.settings, model.activations)]
    code = code_and_libraries("interventions.steering_run")

    def compute(folder: Path) -> None:
        max_new_tokens = model.activations.max_new_tokens
        results = [(table, table.empty()) for table in STEERING_TABLES]
        if len(study.eligible):  # else the model is not even loaded
            results = steering_results(study, model.workers, max_new_tokens)
        for table, rows in results:
            path = folder / table.path(model=model.name).name
            write_table(path, table.checked(rows, path))

    return write_cached_folder(
        STEERED_ANSWERS.path(model=model.name).parent,
        digest([str([settings, study.suite, layers, study.not_sycophantic]), *inputs, *code]),
        compute,
    )


def run_prompting(study: Study, prompting: PromptingSettings, model: LazyModel) -> bool:
    """Writes reports/prompting/MODEL; returns whether it was taken from a cache."""
    sets = (study.suite.evaluation_set, study.prompt_set)
    inputs = [model.folder, study.labels_file, study.vector_file]
    inputs += [ACTIVATIONS / model.name / name for name in sets]
    inputs += [PROMPTS / f"{name}.parquet" for name in sets]
    parts = (study.settings, prompting, model.settings, model.activations)
    layer = study.layer_of(study.vector)
    settings = [*(asdict(part) for part in parts), layer, study.not_sycophantic]
    code = code_and_libraries("interventions.prompting_run")
    output = PROMPTED_ANSWERS.path(model=model.name)

    def compute(folder: Path) -> None:
        answers = PROMPTED_ANSWERS.empty()
        if len(study.eligible):
            answers = prompted_answers(study, prompting, model.workers)
        write_table(folder / output.name, PROMPTED_ANSWERS.checked(answers, output))

    return write_cached_folder(output.parent, digest([str(settings), *inputs, *code]), compute)
