"""Whether vectors agree with one another."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of, interval_text
from sycophancy_steering.page.charts import LOG, lines
from sycophancy_steering.page.colours import MOST_SERIES, coloured
from sycophancy_steering.page.estimates import chart_data, plain, point_of
from sycophancy_steering.page.section import Figure, FoldedTable, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.summary import consistency_sections
from sycophancy_steering.schemas import analysis

TABLES = {
    "variance": ("variance", "Half the squared distance of two vectors that differ in one thing"),
    "reliability": ("reliability", "Cosine of two vectors of as many pairs, about other topics"),
    "tokens": ("tokens", "AUROC token by token, beside a reader of the text so far"),
    "anticipation": ("across", "Anticipation against record: cosine corrected for noise"),
}
"""Sections of the summary: the fact that is a table, and its caption."""


def agreement(study: Study) -> Section | None:
    """Cosine of two vectors made from as many pairs each, by prompt set."""
    reliability = analysis.RELIABILITY.read(model=study.model).filter(
        pl.col("layer") == study.layer
    )
    if reliability.is_empty():
        return None
    sets = reliability["prompt_set"].unique(maintain_order=True).to_list()[:MOST_SERIES]
    points = [
        point_of(row, "cosine", series=plain([row["prompt_set"]])[0], pairs=row["n_pairs"])
        for row in reliability.iter_rows(named=True)
        if row["prompt_set"] in sets
    ]
    sections = consistency_sections(study.model, study.cells, study.suite)
    tables = [
        FoldedTable(caption, section.facts[fact])
        for section in sections
        if section
        for fact, caption in [TABLES.get(section.template, ("", ""))]
        if fact
    ]
    most = reliability.filter(pl.col("prompt_set") == study.suite.headline_set).sort("n_pairs")
    finding = "How far vectors agree is not known."
    if len(most):
        last = most.row(-1, named=True)
        words = interval_text(interval_of(last, "cosine"))
        finding = (
            f"Two vectors made from {last['n_pairs']} pairs of {plain([last['prompt_set']])[0]} "
            f"each, about other topics, have a cosine of {words} at layer {study.layer}."
        )
    return Section(
        finding,
        [
            str(table.path(model=study.model))
            for table in (
                analysis.RELIABILITY,
                analysis.VARIANCE,
                analysis.TOKENS,
                analysis.AGREEMENT,
            )
        ],
        Figure(
            f"Agreement of two vectors by number of pairs, layer {study.layer}",
            "A line a prompt set; bands hold 95% of resamples of the pairs. A vector that "
            "does not agree with its twin is mostly noise: near 0 no conclusion from it stands.",
            lines(
                {"title": "cosine of two vectors", "domain": [-1, 1], "chance": 0},
                {"field": "pairs", "title": "pairs each (log scale)", "scale": LOG},
                coloured(plain(sets)),
            ),
            chart_data(points, ["series", "pairs"]),
        ),
        tables,
    )
