"""Does the vector predict sycophancy, before the answer and after it?"""

from __future__ import annotations

import polars as pl

from sycophancy_steering.page.charts import AUROC, lines
from sycophancy_steering.page.colours import MOST_SERIES, coloured, method_order
from sycophancy_steering.page.estimates import chart_data, plain, point_of
from sycophancy_steering.page.section import Figure, FoldedTable, Section, named, not_drawn
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.predictivity import predictivity_section
from sycophancy_steering.schemas.predictivity import CELLS
from sycophancy_steering.storage.cell_files import POSITIONS, null_vectors, short_name, vector_names

MOST_FAMILIES = 4
"""Panels in a row; the other families are in the tables and the atlas."""


def shown_vectors(study: Study) -> list[str]:
    """The headline vector, then others of its set in the order of methods, as many as have a
    colour."""
    nulls = null_vectors(study.cells)
    others = [
        name
        for name in vector_names(study.cells)
        if name not in nulls and name != study.suite.headline
    ]
    plain_first = sorted(others, key=lambda name: method_order(name.partition("/")[2]))
    return [study.suite.headline, *plain_first][:MOST_SERIES]


def prediction(study: Study) -> Section:
    """AUROC by layer: a panel a family and position, a line a method."""
    suite = study.suite
    facts = predictivity_section(
        study.model, study.cells, suite.headline, study.not_sycophantic
    ).facts
    families, vectors = study.drawn_families[:MOST_FAMILIES], shown_vectors(study)
    labels = {vector: short_name(study.cells, vector) for vector in vectors}
    panels = [f"{name}, {where}" for where in POSITIONS.values() for name in plain(families)]
    points = []
    for position, where in POSITIONS.items():
        for family, label in zip(families, plain(families), strict=True):
            part = study.cells.filter(pl.col("position") == position, pl.col("family") == family)
            for vector in vectors:
                of_vector = part.filter(pl.col("vector") == vector).sort("layer")
                points += [
                    point_of(
                        row,
                        "auroc",
                        "random" if vector == suite.headline else "",
                        panel=f"{label}, {where}",
                        series=labels[vector],
                        layer=row["layer"],
                    )
                    for row in of_vector.iter_rows(named=True)
                ]
    before, after = (_predicted(study, where) for where in POSITIONS.values())
    finding = (
        f"{suite.headline}, at the layer chosen on other questions, {_predicts(before)} before the "
        f"answer, and {_predicts(after)} after it."
    )
    tables = [
        FoldedTable(f"AUROC of every vector of the set, {one['readout']}", one["table"])
        for one in facts["tables"]
    ]
    if facts["yardsticks"]:
        caption = "The vector within topics and templates, and against the shift"
        tables.append(FoldedTable(caption, facts["yardsticks"]))
    return Section(
        finding,
        [str(CELLS.path(model=study.model, prompt_set=suite.headline_set))],
        Figure(
            "AUROC by layer, before and after the answer",
            "Each line is a method, on answers that no choice was made on; coloured bands are 95% "
            "intervals clustered by topic, the grey band holds 95% of random directions. A line "
            "that leaves the grey band and the dashed line with its whole band predicts."
            f"{not_drawn(study.families, families)}",
            lines(
                AUROC,
                {"field": "layer", "title": "layer", "axis": {"tickMinStep": 1}},
                coloured([*labels.values()]),
                panels,
                null=True,
            ),
            chart_data(points, ["panel", "series", "layer"]),
        ),
        tables,
        {"families": facts["families"]},
    )


def _predicts(families: list[str]) -> str:
    return f"predicts {named(families)}" if families else "is not shown to predict anything"


def _predicted(study: Study, where: str) -> list[str]:
    return [one["family"] for one in study.verdict["predictions"][where]["predicted"]]
