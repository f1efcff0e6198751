"""Tabulates, draws and describes what fine-tuning shows.

    python stages/tuning.py

Reads reports/baselines, reports/differences and data/adapters of `tuning.models` in params.yaml;
writes reports/tuning.md, and in reports/tuning/MODEL methods.csv, versus_steering.csv,
side_effects.csv, weak_vectors.csv, headline.csv (the share of answers that each method turns away
from sycophancy) and five figures.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.suite import read_suite
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.figures.drawn import save
from sycophancy_steering.figures.subject import subject_of
from sycophancy_steering.figures.tuning import tuning_figures
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.report.training_page import TrainingTables, training_page
from sycophancy_steering.schemas.paths import PROMPTS
from sycophancy_steering.schemas.tuning import (
    AFTER_TRAINING,
    COSINES,
    DIFFERENCE_PREDICTIVITY,
    DISTILLED_PROMPTS,
    METHODS,
    SIDE_EFFECTS,
    VERSUS_STEERING,
    WEAK_VECTORS,
)
from sycophancy_steering.storage.cell_files import intervention_layer, read_cells
from sycophancy_steering.tuning.tables import write_tuning_tables


@command(__doc__)
def main() -> None:
    settings = read_section(TuningSettings, "tuning")
    tables = {}
    for model in settings.models:
        suite = read_suite(model)
        vector = suite.intervention_vectors[0]
        prompts = pl.read_parquet(PROMPTS / f"{vector.partition('/')[0]}.parquet")
        write_tuning_tables(model)
        tables[model] = of_model = TrainingTables(
            methods=METHODS.read(model=model),
            differences=VERSUS_STEERING.read(model=model),
            side_effects=SIDE_EFFECTS.read(model=model),
            weak_vectors=WEAK_VECTORS.read(model=model),
            teachers=DISTILLED_PROMPTS.read(model=model),
            cosines=COSINES.read(model=model),
            aurocs=DIFFERENCE_PREDICTIVITY.read(model=model),
            readouts=AFTER_TRAINING.read(model=model),
            vector=vector,
            families=prompts["family"].unique(maintain_order=True).to_list(),
            layer=intervention_layer(model, suite, vector),
        )
        subject = subject_of(model, vector, read_cells(model, [vector.partition("/")[0]]))
        figures = tuning_figures(subject, of_model.methods, of_model.cosines, of_model.readouts)
        for name, drawn in figures.items():
            with atomic_write(METHODS.path(model=model).with_name(f"{name}.png")) as draft:
                save(drawn, draft)
    with atomic_write(Path("reports/tuning.md")) as draft:
        draft.write_text(training_page(tables, settings), encoding="utf-8")


if __name__ == "__main__":
    main()
