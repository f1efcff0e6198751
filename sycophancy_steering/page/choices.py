"""How much the answer depends on how the vector was made."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of, interval_text
from sycophancy_steering.page.charts import AUROC, dots
from sycophancy_steering.page.colours import coloured, method_order
from sycophancy_steering.page.estimates import chart_data, plain, point_of
from sycophancy_steering.page.prediction import MOST_FAMILIES
from sycophancy_steering.page.section import Figure, FoldedTable, Section, not_drawn
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.analysis import sample_efficiency_section
from sycophancy_steering.report.comparison import COMPONENTS, selection_section
from sycophancy_steering.report.templates import TableData
from sycophancy_steering.schemas import analysis, comparison
from sycophancy_steering.schemas.predictivity import CELLS
from sycophancy_steering.storage.cell_files import POSITIONS, short_name

HEADER = ("kind of question", "sets", "methods", "between sets", "between methods")
REST = ("interaction", "largest gap")


def choices(study: Study) -> Section:
    """AUROC of every variant at its selected layer, before the answer and after it."""
    components = comparison.VARIANCE_COMPONENTS.read().filter(pl.col("model") == study.model)
    families = study.drawn_families[:MOST_FAMILIES]
    gaps = components.filter(pl.col("family").is_in(families)).drop_nulls("largest_gap")
    finding = "One prompt set and one method were tried, so nothing can be said."
    if len(gaps):
        widest = gaps.sort("largest_gap", descending=True).row(0, named=True)
        finding = (
            "The choice of prompt set and method moves the AUROC by up to "
            f"{interval_text(interval_of(widest, 'largest_gap'))} "
            f"({plain([widest['family']])[0]})."
        )
    return Section(
        finding,
        [
            str(CELLS.path(model=study.model, prompt_set=study.suite.headline_set)),
            str(comparison.VARIANCE_COMPONENTS.path()),
            str(comparison.SELECTED.path()),
            str(analysis.SAMPLE_EFFICIENCY.path(model=study.model)),
        ],
        _figure(study, families),
        _tables(study, components),
    )


def _figure(study: Study, families: list[str]) -> Figure:
    selected = study.cells.filter("selected", pl.col("family").is_in(families))
    points = [
        point_of(
            row,
            "auroc",
            "random",
            panel=plain([row["family"]])[0],
            series=POSITIONS[row["position"]],
            vector=short_name(study.cells, row["vector"]),
            order=100 * row["null"] + method_order(row["method"]),
        )
        for row in selected.iter_rows(named=True)
    ]
    points.sort(key=lambda one: one["order"])
    return Figure(
        "AUROC by method, at the layer chosen on other questions",
        "A row a variant of the vector from the same prompt set, nulls last; whiskers are 95% "
        "intervals clustered by topic, the grey bars hold 95% of random directions. Methods differ "
        f"only if their whiskers say so.{not_drawn(study.families, families)}",
        dots(AUROC, "vector", coloured([*POSITIONS.values()]), plain(families), null=True),
        chart_data(points, ["panel", "vector", "series"]),
    )


def _tables(study: Study, components: pl.DataFrame) -> list[FoldedTable]:
    rows = [
        [
            *(row["family"], row["n_sets"], row["n_methods"]),
            *(interval_of(row, name) for name in COMPONENTS),
        ]
        for row in components.iter_rows(named=True)
    ]
    caption = "Standard deviation of the AUROC over choices"
    tables = [FoldedTable(caption, TableData([*HEADER, *REST], rows))]
    chosen = comparison.SELECTED.read().filter(pl.col("model") == study.model)
    if selection := selection_section(chosen, study.not_sycophantic):
        n_cells = selection.facts["n_cells"]
        caption = f"The best of {n_cells} vectors, layers and read-outs, chosen on other questions"
        tables.append(FoldedTable(caption, selection.facts["selected"]))
    efficiency = sample_efficiency_section(
        analysis.SAMPLE_EFFICIENCY.read(model=study.model),
        study.families[0],
        study.suite.headline_variant,
    )
    if efficiency:
        caption = f"AUROC by number of pairs, {plain([efficiency.facts['family']])[0]}"
        tables.append(FoldedTable(caption, efficiency.facts["efficiency"]))
    return tables
