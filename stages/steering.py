"""Steers a model: adds vectors to its states and takes them out, and asks what that does.

    python stages/steering.py one_cause

Reads the `evaluation_set`, its labels and activations, the vectors named in `interventions` of
params.yaml and, from reports/cells/MODEL, the layer that was chosen for each; writes, in
reports/steering/MODEL, `answers.parquet` (every answer's log-odds, before and after, under every
intervention), `said.parquet` (what the model then says), `afterwards.parquet` (what can still be
read in it) and `costs.parquet` (what becomes of facts and of ordinary text). What is in `.work`
already is not asked again.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import polars as pl

from sycophancy_steering.activations.token_budget import batch_tokens
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_names, read_section
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.foundation.atomic_files import atomic_write, write_table
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.side_effects import NEUTRAL
from sycophancy_steering.interventions.steering_run import steering_tables
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.storage.cell_files import selected_layer
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    study = read_study(model)
    settings, on = study.settings, study.evaluation_set
    placement = read_section(ModelSettings, "model", model)
    reading = read_section(ActivationSettings, "activations")
    sets = read_names("extraction_sets")
    names = [
        *settings.vectors,
        *(f"{name}/{each}" for name in sets for each in settings.compared_methods),
    ]
    how = [asdict(settings), asdict(placement), asdict(reading), sets]
    how += [selected_layer(model, name) for name in settings.vectors]
    held = [Path(f"data/models/{model}"), study.activations, Path("data/tables"), NEUTRAL]
    held.append(Path(f"data/labels/{model}/{on}.parquet"))
    held += [Path(f"vectors/{model}/{name}.safetensors") for name in names]
    here = cache_path(
        "steering", digest([str(how), *held, *code_and_libraries("interventions.steering_run")]), ""
    )
    known = here.exists()
    if not known:
        language_model = load_language_model(Path(f"data/models/{model}"), placement)
        budget = batch_tokens(language_model, reading)
        tables = steering_tables(
            model,
            language_model,
            settings,
            study.eligible,
            on,
            budget,
            reading.max_new_tokens,
        )
        with atomic_write(here) as draft:
            for name, table in tables.items():
                write_table(draft / f"{name}.parquet", table)
    with atomic_write(Path(f"reports/steering/{model}")) as draft:
        shutil.copytree(here, draft)
    answers = pl.scan_parquet(here / "answers.parquet").select(pl.len(), pl.col("id").n_unique())
    count, asked = answers.collect().row(0)
    print(f"{model}: {asked} questions, {count} answers{' taken from .work' if known else ''}")
    if study.left_out:
        print(f"  left out, with answers of one kind only: {', '.join(study.left_out)}")


if __name__ == "__main__":
    main()
