"""Asks a model otherwise: told what to do, shown examples, or steered by as many.

    python stages/prompting.py one_cause

Reads the `evaluation_set` and its labels, the prompts and activations of the set that the first of
`interventions.vectors` is made from, and `prompting` of params.yaml; writes
reports/prompting/MODEL.parquet: every answer's log-odds as it is, and asked in each way. What is in
`.work` already is not asked again.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import polars as pl

from sycophancy_steering.activations.token_budget import batch_tokens
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.interventions import PromptingSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.prompting_run import prompted_answers
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    prompting, study = read_section(PromptingSettings, "prompting"), read_study(model)
    placement = read_section(ModelSettings, "model", model)
    reading = read_section(ActivationSettings, "activations")
    along, asked = study.steering_vector(), study.sample("test")
    how = [asdict(each) for each in (study.settings, prompting, placement, reading)]
    held = [Path(f"data/models/{model}"), Path(f"data/labels/{model}/{study.evaluation_set}.parquet")]
    held += [Path(f"data/activations/{model}/{each}") for each in (study.evaluation_set, study.prompt_set)]
    held += [Path(f"data/prompts/{each}.parquet") for each in (study.evaluation_set, study.prompt_set)]
    held.append(Path(f"vectors/{model}/{study.vector}.safetensors"))
    here = cache_path(
        "prompting",
        digest(
            [str([*how, along.layer]), *held, *code_and_libraries("interventions.prompting_run")]
        ),
    )
    if not here.exists():
        language_model = load_language_model(Path(f"data/models/{model}"), placement)
        budget, where = batch_tokens(language_model, reading), study.settings.where
        new = prompted_answers(model, language_model, prompting, where, along, asked, study.evaluation_set, budget)
        write_table(here, new)
    found = pl.read_parquet(here)
    write_table(Path(f"reports/prompting/{model}.parquet"), found)
    ways = found.unique(["way", "towards", "examples", "seed"]).height
    print(f"{model}: {len(asked)} questions, each asked in {ways} ways")
    if study.left_out:
        print(f"  left out, with answers of one kind only: {', '.join(study.left_out)}")


if __name__ == "__main__":
    main()
