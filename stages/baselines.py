"""Asks the models that `tune` trained: are they better than steering, or prompts, of as much data?

    python stages/baselines.py one_cause

Reads data/adapters/MODEL, the `evaluation` set and its labels, the prompts and activations of the
set that the first of `interventions.vectors` is made from, and `tuning` of params.yaml; writes, in
reports/baselines/MODEL, `answers.parquet` (every answer's log-odds, as it is and under each way)
and `costs.parquet` (what becomes of facts and of ordinary text).
"""

from __future__ import annotations

from pathlib import Path

from lib.script.command import command

import polars as pl

from lib.baselines_run import Beside, Tuned, as_ways, of_pairs, steering_runs
from lib.contrast_sets import read_contrast
from lib.engine.language_model import Placement
from lib.engine.model_pass import ReadingSettings
from lib.engine.reading_run import batch_tokens
from lib.interventions.prompting import Prompting
from lib.interventions.prompting_run import prompted
from lib.interventions.studied import read_studied
from lib.script.output import whole, write_table
from lib.script.parameters import read_section
from lib.tuning import Tuning, runs
from lib.weak_reader import known_wrong
from lib.weak_vectors import foretold_by_few


@command(__doc__, model="an entry of tuning.models in params.yaml")
def main(model: str) -> None:
    settings, study = read_section(Tuning, "tuning"), read_studied(model)
    tuned = Tuned(model, read_section(Placement, "model", model))
    plain = tuned.plain()
    budget = batch_tokens(plain, read_section(ReadingSettings, "reading"))
    beside = Beside(tuned, study, known_wrong(Path(f"data/adapters/{model}")), budget)
    sizes = {name: len(read_contrast(name)) for name in settings.contrasts}
    steered = beside.steered(plain, settings)
    told = Prompting(settings.examples, settings.seeds), study.settings.where, beside.along
    ways = as_ways(prompted(model, plain, *told, beside.asked, study.on, budget))
    as_it_is = beside.as_it_is(plain)
    del plain
    trained = beside.trained(of_pairs([*runs(settings, sizes)]), as_it_is)
    test = study.answers.filter(pl.col("split") == "test")
    few = [run for run in steering_runs(settings) if run.towards]
    weak = foretold_by_few(few, beside.vector_of, beside.shown, study.activations, test)
    with whole(Path(f"reports/baselines/{model}")) as draft:
        draft.mkdir()
        write_table(draft / "answers.parquet", pl.concat([trained[0], steered[0], ways]))
        write_table(draft / "costs.parquet", pl.concat([steered[1], trained[1]]))
        write_table(draft / "weak_vectors.parquet", weak)
    count = len(trained[1])
    print(f"{model}: {len(beside.asked)} questions, {count} runs, each with and without steering")
    if study.left_out:
        print(f"  left out, with answers of one kind only: {', '.join(study.left_out)}")


if __name__ == "__main__":
    main()
