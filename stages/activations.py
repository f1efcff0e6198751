"""Extracts a model's activations and responses on its prompt sets.

    python stages/activations.py one_cause [opinion_pairs]

Reads data/models/MODEL, data/prompts/SET.parquet and `model.MODEL`, `activations` of params.yaml;
writes data/activations/MODEL/SET for each of `prompt_sets`, or for the set given: Parquet shards of
activations, responses.parquet, and the log-probabilities that the responses are compared with. The
model is loaded once. Questions that it was asked before, in any set, come from .work or from DVC's
cache; a run that was killed resumes after its last batch.
"""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.activations.extraction_run import ExtractionRun, write_responses
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_names, read_section
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.questions.prompt_table import PART, each_prompt
from sycophancy_steering.storage.activation_shards import RESPONSES
from sycophancy_steering.storage.activation_store import (
    REFERENCE_LOGPROBS,
    ACTIVATIONS_FILE,
    exclusive_lock,
    link_or_copy,
    disk_errors_as_input_errors,
)
from sycophancy_steering.storage.dvc_cache import cached_output


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="an entry of prompt_set in params.yaml; without it, all of prompt_sets",
)
def main(model: str, prompt_set: str = "") -> None:
    settings = read_section(ActivationSettings, "activations")
    placement = read_section(ModelSettings, "model", model)
    sets = [prompt_set] if prompt_set else read_names("prompt_sets")
    for name in sets:  # refuses what cannot be read before the model is loaded
        next(each_prompt(Path(f"data/prompts/{name}.parquet")))
    with exclusive_lock(model), disk_errors_as_input_errors():
        language_model = load_language_model(Path(f"data/models/{model}"), placement)
        for name in sets:
            extract(model, name, language_model, settings, placement)


def extract(
    model: str,
    prompt_set: str,
    language_model: LanguageModel,
    settings: ActivationSettings,
    placement: ModelSettings,
) -> None:
    """Runs the questions of one prompt set that are not cached, and writes its shards."""
    output = Path(f"data/activations/{model}/{prompt_set}")
    run = ExtractionRun(
        language_model, settings, model, placement, Path(f"data/prompts/{prompt_set}.parquet")
    )
    if any(key not in run.store.blocks for key in run.keys):
        run.store.import_shards(cached_output(output))
    with tqdm(total=len(run.keys), unit="question", disable=None, desc=prompt_set) as bar:
        run.run_prompts(bar)
    with tqdm(total=len(run.reference_rows), unit="question", disable=None, desc="compared") as bar:
        run.run_references(bar)
    starts = range(0, len(run.keys), PART)
    shards = [run.store.shard(run.keys[at : at + PART]) for at in starts]
    with atomic_write(output) as draft:
        draft.mkdir()
        for number, shard in enumerate(shards):
            link_or_copy(shard / ACTIVATIONS_FILE, draft / f"shard-{number:05d}.parquet")
        run.write_reference_logprobs(draft / REFERENCE_LOGPROBS)
        answered = write_responses(draft / RESPONSES, shards, run)
    run.store.remove_merged_blocks(run.keys, shards)
    print(f"{model} on {prompt_set}: {len(run.keys)} questions, {answered} answered; {run.summary()}")


if __name__ == "__main__":
    main()
