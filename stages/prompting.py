"""Asks a model otherwise: told what to do, shown examples, or steered by as many.

    python stages/prompting.py one_cause

Reads the `evaluation` set and its labels, the prompts and activations of the set that the first of
`interventions.vectors` is made from, and `prompting` of params.yaml; writes
reports/prompting/MODEL.parquet: every answer's log-odds as it is, and asked in each way. What is in
`.work` already is not asked again.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lib.command import command

import polars as pl

from lib.activation_shards import read_ids
from lib.cell_files import chosen_layer
from lib.label_files import read_labels
from lib.language_model import Placement, load_language_model
from lib.model_pass import ReadingSettings
from lib.output import write_table
from lib.parameters import read_name, read_section
from lib.prompting import Prompting
from lib.prompting_run import prompted
from lib.reading_run import batch_tokens
from lib.remembered import code, digest, place
from lib.steering import drawn, of_both_kinds, told
from lib.steering_plan import Known
from lib.steering_settings import Interventions


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    settings = read_section(Interventions, "interventions")
    prompting, on = read_section(Prompting, "prompting"), read_name("evaluation")
    activations = Path(f"data/activations/{model}/{on}")
    labelled = Path(f"data/labels/{model}/{on}.parquet")
    labels = read_labels(labelled, read_ids(activations))
    labels, left_out = of_both_kinds(told(labels.with_row_index("row"), settings.told_by))
    asked = drawn(labels.filter(pl.col("split") == "test"), settings.questions)
    vector = settings.vectors[0]
    layer, made_from = chosen_layer(model, vector), vector.partition("/")[0]
    placement = read_section(Placement, "model", model)
    reading = read_section(ReadingSettings, "reading")
    how = [asdict(each) for each in (settings, prompting, placement, reading)]
    held = [Path(f"data/models/{model}"), activations, labelled]
    held += [
        Path(f"data/activations/{model}/{made_from}"),
        Path(f"data/prompts/{made_from}.parquet"),
    ]
    held.append(Path(f"vectors/{model}/{vector}.safetensors"))
    here = place("prompting", digest([str([*how, layer]), *held, *code("prompting_run")]))
    if not here.exists():
        known = Known(model, activations, labels.filter(pl.col("split") == "select"))
        language_model = load_language_model(Path(f"data/models/{model}"), placement)
        budget, along = batch_tokens(language_model, reading), known.along(vector, layer)
        new = prompted(model, language_model, prompting, settings.where, along, asked, on, budget)
        write_table(here, new)
    found = pl.read_parquet(here)
    write_table(Path(f"reports/prompting/{model}.parquet"), found)
    ways = found.unique(["way", "towards", "examples", "seed"]).height
    print(f"{model}: {len(asked)} questions, each asked in {ways} ways")
    if left_out:
        print(f"  left out, with answers of one kind only: {', '.join(left_out)}")


if __name__ == "__main__":
    main()
