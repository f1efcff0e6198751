"""Steers a model: adds vectors to its states and takes them out, and asks what that does.

    python stages/steering.py one_cause

Reads the `evaluation` set, its labels and activations, the vectors named in `interventions` of
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

from lib.script.command import command

import polars as pl

from lib.engine.language_model import Placement, load_language_model
from lib.engine.model_pass import ReadingSettings
from lib.engine.reading_run import batch_tokens
from lib.files.cell_files import chosen_layer
from lib.files.remembered import code, digest, place
from lib.interventions.side_effects import NEUTRAL
from lib.interventions.steering_run import steered
from lib.interventions.studied import read_studied
from lib.script.output import whole, write_table
from lib.script.parameters import read_names, read_section


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    study = read_studied(model)
    settings, on = study.settings, study.on
    placement = read_section(Placement, "model", model)
    reading = read_section(ReadingSettings, "reading")
    sets = read_names("extractions")
    names = [*settings.vectors, *(f"{name}/{each}" for name in sets for each in settings.compared)]
    how = [asdict(settings), asdict(placement), asdict(reading), sets]
    how += [chosen_layer(model, name) for name in settings.vectors]
    held = [Path(f"data/models/{model}"), study.activations, Path("data/tables"), NEUTRAL]
    held.append(Path(f"data/labels/{model}/{on}.parquet"))
    held += [Path(f"vectors/{model}/{name}.safetensors") for name in names]
    here = place("steering", digest([str(how), *held, *code("interventions.steering_run")]), "")
    known = here.exists()
    if not known:
        language_model = load_language_model(Path(f"data/models/{model}"), placement)
        budget = batch_tokens(language_model, reading)
        tables = steered(
            model,
            language_model,
            settings,
            study.labels,
            on,
            budget,
            reading.max_new_tokens,
        )
        with whole(here) as draft:
            for name, table in tables.items():
                write_table(draft / f"{name}.parquet", table)
    with whole(Path(f"reports/steering/{model}")) as draft:
        shutil.copytree(here, draft)
    answers = pl.scan_parquet(here / "answers.parquet").select(pl.len(), pl.col("id").n_unique())
    count, asked = answers.collect().row(0)
    print(f"{model}: {asked} questions, {count} answers{' taken from .work' if known else ''}")
    if study.left_out:
        print(f"  left out, with answers of one kind only: {', '.join(study.left_out)}")


if __name__ == "__main__":
    main()
