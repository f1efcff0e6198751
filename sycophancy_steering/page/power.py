"""What the study could have found, had it been there."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import number_text
from sycophancy_steering.page.charts import LOG, lines
from sycophancy_steering.page.colours import MOST_SERIES, coloured
from sycophancy_steering.page.estimates import chart_data, plain, point_of
from sycophancy_steering.page.section import Figure, FoldedTable, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.power import power_section
from sycophancy_steering.schemas.power import POWER

USUAL = 0.8
"""The share of studies that a power analysis asks for."""


def power(study: Study) -> Section | None:
    """How often a planted direction is found, by its size."""
    if study.is_control:
        return None
    table = POWER.read(model=study.model)
    section = power_section(study.model, table)
    if section is None:
        return None
    facts = section.facts
    families = study.families[:MOST_SERIES]
    curve = table.filter(
        pl.col("part") == "curve",
        pl.col("planted") == "as_labelled",
        pl.col("size") > 0,
        pl.col("family").is_in(families),
    )
    if curve.is_empty():
        curve = table.filter(
            pl.col("part") == "curve", pl.col("size") > 0, pl.col("family").is_in(families)
        )
    points = [
        point_of(row, "found_share", series=plain([row["family"]])[0], size=row["size"])
        for row in curve.iter_rows(named=True)
    ]
    known = [
        f"{plain([one['family']])[0]} {number_text(one['detectable_auroc'])}"
        for one in study.verdict["detectable"]
    ]
    finding = (
        f"With as many answers, four studies of five find a vector whose true AUROC is at least: "
        f"{', '.join(known)}."
        if known
        else "No kind of question has enough answers of both kinds to find anything."
    )
    return Section(
        finding,
        [str(POWER.path(model=study.model))],
        Figure(
            "Share of studies that find a planted direction",
            f"A direction of known size is added to the activations of as many answers as were "
            f"sycophantic, {facts['n_draws']} times for each size; bands are 95% intervals. The "
            f"dashed line is the usual demand, {USUAL:.0%}.",
            lines(
                {"title": "share of studies that find it", "domain": [0, 1], "chance": USUAL},
                {
                    "field": "size",
                    "title": "size, in typical distances from the mean (log scale)",
                    "scale": LOG,
                },
                coloured(plain(families)),
            ),
            chart_data(points, ["series", "size"]),
        ),
        [
            FoldedTable(
                "Planted in as many answers as were sycophantic", facts["as_labelled_table"]
            ),
            FoldedTable("Planted in half of all questions", facts["control_table"]),
        ],
    )
