"""Where vectors transfer: does one from one kind of question predict another kind?"""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import interval_text
from sycophancy_steering.page.charts import grid
from sycophancy_steering.page.estimates import chart_data, plain, point_of
from sycophancy_steering.page.section import Figure, FoldedTable, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.analysis import transfer_section
from sycophancy_steering.report.predictivity import CHANCE, cross_model_section
from sycophancy_steering.schemas import analysis
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.storage.cell_files import EVERY_SOURCE, read_cross_model_cells

_, LOW, _ = estimate("auroc")


def transfer(study: Study) -> Section | None:
    """AUROC of each set's vector on each family, at one layer."""
    variant = study.suite.headline_variant
    table = analysis.TRANSFER.read(model=study.model).filter(
        pl.col("layer") == study.layer, pl.col("method") == variant
    )
    section = transfer_section(
        table, analysis.TRANSFER_FROM_COSINES.read(model=study.model), variant
    )
    if section is None:
        return None
    shown = table.filter(pl.col("source") == EVERY_SOURCE, pl.col("family").is_in(study.families))
    points = [
        point_of(
            row,
            "auroc",
            **{
                "made from": plain([row["prompt_set"]])[0],
                "read on": plain([row["family"]])[0],
            },
        )
        for row in shown.iter_rows(named=True)
    ]
    others = shown.filter(~pl.col("own_set"))
    crossing = others.filter(pl.col(LOW) > CHANCE)
    words = [
        f"{name} {interval_text(value)}" for name, value in section.facts["correlations"].items()
    ]
    tables = [FoldedTable("Transfer, with cosines between the vectors", section.facts["transfer"])]
    owners = [
        pair.vectors_from for pair in study.settings.cross_model if pair.evaluated_in == study.model
    ]
    if owners:
        foreign = read_cross_model_cells(study.model, owners, study.suite.headline_set)
        vectors = cross_model_section(study.model, foreign).facts["vectors"]
        tables.append(FoldedTable("Vectors of other models", vectors))
    return Section(
        f"Of {len(others)} pairs of a set and another kind of question, {len(crossing)} have an "
        f"AUROC whose interval lies above {CHANCE} (single intervals, layer {study.layer}).",
        [
            str(analysis.TRANSFER.path(model=study.model)),
            str(analysis.TRANSFER_FROM_COSINES.path(model=study.model)),
        ],
        Figure(
            f"AUROC of {variant} by what it is made from and read on, layer {study.layer}",
            "Rows are prompt sets, columns kinds of question. One cause would colour a whole row; "
            "causes of their own only the diagonal. Hover for the 95% interval.",
            grid("made from", "read on", "AUROC", CHANCE),
            chart_data(points, ["made from", "read on"]),
        ),
        tables,
        {"correlations": words},
    )
