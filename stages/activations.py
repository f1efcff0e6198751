"""Runs a model over a prompt set and keeps what it was in and what it said.

    python stages/activations.py one_cause opinion_pairs

Reads data/models/MODEL, data/prompts/SET.parquet and `model.MODEL`, `reading` of params.yaml;
writes data/activations/MODEL/SET/: Parquet shards of states, responses.parquet, and what answers
are compared with, compared.parquet. What was run before, for this prompt set or another, is taken
from .work, or from DVC's cache.
"""

from __future__ import annotations

from pathlib import Path

from sycophancy_steering.foundation.command_line import command, importing
from sycophancy_steering.storage.process_memory import ask_for_memory


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="an entry of prompt_set in params.yaml",
)
def main(model: str, prompt_set: str) -> None:
    ask_for_memory()  # before torch takes memory
    with importing():
        from tqdm import tqdm

        from sycophancy_steering.activations.extraction_run import Run, write_responses
        from sycophancy_steering.config.reading import read_section
        from sycophancy_steering.engine.forward import ReadingSettings
        from sycophancy_steering.engine.language_model import Placement, load_language_model
        from sycophancy_steering.foundation.atomic_files import atomic_write
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

    settings = read_section(ReadingSettings, "reading")
    placement = read_section(Placement, "model", model)
    prompts = Path(f"data/prompts/{prompt_set}.parquet")
    output = Path(f"data/activations/{model}/{prompt_set}")
    next(each_prompt(prompts))  # refuses what cannot be read before the model is loaded
    with alone(f"{model}-{prompt_set}"), room_on_disk():
        language_model = load_language_model(Path(f"data/models/{model}"), placement)
        run = Run(language_model, settings, model, placement, prompts)
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
