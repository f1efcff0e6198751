"""Extracts one model's activations and responses on its prompt sets, and shows how far it is."""

from __future__ import annotations

from collections.abc import Iterable

from tqdm import tqdm

from sycophancy_steering.activations.cache_keys import extraction_key
from sycophancy_steering.activations.extraction import StudiedModel
from sycophancy_steering.activations.statistics_run import extraction_run
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.compute import ComputeSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.open_workers import open_workers
from sycophancy_steering.engine.ray_process import RayProcess
from sycophancy_steering.questions.prompt_table import read_extract
from sycophancy_steering.schemas.paths import ACTIVATIONS, MODELS, PROMPTS
from sycophancy_steering.storage.activation_store import disk_errors_as_input_errors
from sycophancy_steering.storage.dvc_cache import cached_output
from sycophancy_steering.storage.locks import waiting_lock


def extract_sets(
    name: str,
    prompt_sets: Iterable[str],
    placement: ModelSettings,
    settings: ActivationSettings,
    compute: ComputeSettings,
    process: RayProcess | None,
) -> None:
    """Loads a model once, and extracts set after set. Raises InputError."""
    opening = open_workers(MODELS / name, placement, settings, compute, process)
    with disk_errors_as_input_errors(), opening as workers:
        model = StudiedModel(name, workers, settings, placement)
        for prompt_set in prompt_sets:
            with waiting_lock(_store_name(prompt_set, model), f"{name} on {prompt_set}"):
                extract_set(prompt_set, model)


def _store_name(prompt_set: str, model: StudiedModel) -> str:
    """Of the store that runs which extract the same model in the same way share."""
    kind = read_extract(PROMPTS / f"{prompt_set}.parquet")
    language_model = model.workers.language_model
    return extraction_key(language_model, model.settings, model.model_settings, kind)


def extract_set(prompt_set: str, model: StudiedModel) -> None:
    """Runs the questions of one prompt set that are not cached, and writes its shards."""
    output = ACTIVATIONS / model.name / prompt_set
    run = extraction_run(model, PROMPTS / f"{prompt_set}.parquet")
    run.import_cached_output(cached_output(output))
    with tqdm(
        total=len(run.own_answers.chats), unit="answer", disable=None, desc="own answers"
    ) as bar:
        run.run_own_answers(bar)
    n_references = len(run.reference_rows)
    with tqdm(total=n_references, unit="question", disable=None, desc="references") as bar:
        run.run_references(bar)
    with tqdm(total=len(run.row_keys), unit="question", disable=None, desc=prompt_set) as bar:
        run.run_prompts(bar)
    answered = run.write(output)
    print(
        f"{model.name} on {prompt_set}: {len(run.row_keys)} questions, {answered} answered; "
        f"{run.summary()}"
    )
