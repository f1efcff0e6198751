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

from sycophancy_steering.activations.extraction_run import Run, write_responses
from sycophancy_steering.config.reading import read_names, read_section
from sycophancy_steering.engine.forward import ReadingSettings
from sycophancy_steering.engine.language_model import LanguageModel, Placement, load_language_model
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.questions.prompt_table import PART, each_prompt
from sycophancy_steering.storage.activation_shards import RESPONSES
from sycophancy_steering.storage.activation_store import (
    COMPARED,
    STATES,
    alone,
    link,
    room_on_disk,
)
from sycophancy_steering.storage.dvc_cache import last_made


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="an entry of prompt_set in params.yaml; without it, all of prompt_sets",
)
def main(model: str, prompt_set: str = "") -> None:
    settings = read_section(ReadingSettings, "reading")
    placement = read_section(Placement, "model", model)
    sets = [prompt_set] if prompt_set else read_names("prompt_sets")
    for name in sets:  # refuses what cannot be read before the model is loaded
        next(each_prompt(Path(f"data/prompts/{name}.parquet")))
    with alone(model), room_on_disk():
        language_model = load_language_model(Path(f"data/models/{model}"), placement)
        for name in sets:
            extract(model, name, language_model, settings, placement)


def extract(
    model: str,
    prompt_set: str,
    language_model: LanguageModel,
    settings: ReadingSettings,
    placement: Placement,
) -> None:
    """Runs the questions of one prompt set that are not cached, and writes its shards."""
    output = Path(f"data/activations/{model}/{prompt_set}")
    run = Run(
        language_model, settings, model, placement, Path(f"data/prompts/{prompt_set}.parquet")
    )
    if any(key not in run.store.known for key in run.keys):
        run.store.adopt(last_made(output))
    with tqdm(total=len(run.keys), unit="question", disable=None, desc=prompt_set) as bar:
        run.read_rows(bar)
    with tqdm(total=len(run.asked), unit="question", disable=None, desc="compared") as bar:
        run.read_likelihoods(bar)
    starts = range(0, len(run.keys), PART)
    shards = [run.store.shard(run.keys[at : at + PART]) for at in starts]
    with atomic_write(output) as draft:
        draft.mkdir()
        for number, shard in enumerate(shards):
            link(shard / STATES, draft / f"shard-{number:05d}.parquet")
        run.write_compared(draft / COMPARED)
        answered = write_responses(draft / RESPONSES, shards, run)
    run.store.settle(run.keys, shards)
    print(f"{model} on {prompt_set}: {len(run.keys)} questions, {answered} answered; {run.told()}")


if __name__ == "__main__":
    main()
