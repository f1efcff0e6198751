"""Extracts models' activations and responses on their prompt sets.

    python stages/activations.py [one_cause [opinion_pairs]]

For one model or each of `models` in params.yaml, and one prompt set or each of its suite: reads
data/models/MODEL, data/prompts/SET.parquet and `model.MODEL`, `activations` of params.yaml; writes
data/activations/MODEL/SET: Parquet shards of activations, responses.parquet, and the
log-probabilities that the responses are compared with. A model is loaded once. Questions that it
was asked before, in any set, come from .work or from DVC's cache; a run that was killed resumes
after its last batch.
"""

from __future__ import annotations

from itertools import chain

from tqdm import tqdm

from sycophancy_steering.activations.extraction import ExtractionRun, StudiedModel
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.compute import read_compute
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_models, read_prompt_sets
from sycophancy_steering.engine.open_workers import open_workers
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.questions.prompt_table import iter_prompts
from sycophancy_steering.schemas.paths import ACTIVATIONS, MODELS, PROMPTS
from sycophancy_steering.storage.activation_store import (
    disk_errors_as_input_errors,
    exclusive_lock,
)
from sycophancy_steering.storage.dvc_cache import cached_output


@command(
    __doc__,
    model="an entry of model in params.yaml; without it, all of models",
    prompt_set="an entry of prompt_set in params.yaml; without it, all of the suite",
)
def main(model: str = "", prompt_set: str = "") -> None:
    models = [model] if model else read_models()
    settings = read_section(ActivationSettings, "activations")
    compute = read_compute()
    model_settings = {name: read_section(ModelSettings, "model", name) for name in models}
    sets = {name: [prompt_set] if prompt_set else read_prompt_sets(name) for name in models}
    for name in {*chain(*sets.values())}:  # refuses what cannot be read before a model is loaded
        next(iter_prompts(PROMPTS / f"{name}.parquet"))
    for name in models:
        placement = model_settings[name]
        with (
            exclusive_lock(name),
            disk_errors_as_input_errors(),
            open_workers(MODELS / name, placement, settings, compute) as workers,
        ):
            for answered in sets[name]:
                extract(answered, StudiedModel(name, workers, settings, placement))


def extract(prompt_set: str, model: StudiedModel) -> None:
    """Runs the questions of one prompt set that are not cached, and writes its shards."""
    output = ACTIVATIONS / model.name / prompt_set
    run = ExtractionRun(model, PROMPTS / f"{prompt_set}.parquet")
    run.import_cached_output(cached_output(output))
    with tqdm(
        total=len(run.own_answers.chats), unit="answer", disable=None, desc="own answers"
    ) as bar:
        run.run_own_answers(bar)
    with tqdm(total=len(run.row_keys), unit="question", disable=None, desc=prompt_set) as bar:
        run.run_prompts(bar)
    n_references = len(run.reference_rows)
    with tqdm(total=n_references, unit="question", disable=None, desc="references") as bar:
        run.run_references(bar)
    answered = run.write(output)
    print(
        f"{model.name} on {prompt_set}: {len(run.row_keys)} questions, {answered} answered; "
        f"{run.summary()}"
    )


if __name__ == "__main__":
    main()
