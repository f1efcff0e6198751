"""Is the vector a cause, and of one thing?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, Range, interval_of, p_text
from sycophancy_steering.page.charts import lines
from sycophancy_steering.page.colours import coloured
from sycophancy_steering.page.estimates import chart_data, plain, point
from sycophancy_steering.page.prediction import MOST_FAMILIES
from sycophancy_steering.page.section import Figure, FoldedTable, Section, named
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.steering import UNITS, WHERE
from sycophancy_steering.report.summary import intervention_sections
from sycophancy_steering.report.templates import TableData
from sycophancy_steering.schemas import interventions
from sycophancy_steering.schemas.interventions import OWN

HEADER = ("kind of question", "n", "added", "random vectors", "p", "removed", "random removed")


def cause(study: Study) -> Section | None:
    """The shift of the log-odds by how much of the vector is added, beside random vectors."""
    vector = study.suite.intervention_vectors[0]
    responses = interventions.DOSE_RESPONSE.read(model=study.model).filter(
        pl.col("vector") == vector, pl.col("kind") == "add"
    )
    if responses.is_empty():
        return None
    sections = intervention_sections(
        study.model, study.suite, study.settings.interventions, study.behaviour
    )
    facts = {section.template: section.facts for section in sections if section}
    read = (interventions.DOSE_RESPONSE, interventions.CAUSAL_EFFECTS, interventions.SIDE_EFFECTS)
    return Section(
        _finding(facts["causal"], vector),
        [str(table.path(model=study.model)) for table in read],
        _figure(study, responses, facts["causal"].get("n_random", 0)),
        _tables(facts),
    )


def _finding(causal: Mapping[str, Any], vector: str) -> str:
    n_random = causal.get("n_random", 0)
    by_verdict = {
        verdict: [one["family"] for one in causal["families"] if one["verdict"] == verdict]
        for verdict in ("cause", "wrong way")
    }
    if by_verdict["cause"]:
        words = f"towards sycophancy further than {n_random} random vectors on "
        words += named(by_verdict["cause"])
    else:
        words = f"no further than {n_random} random vectors of the same norm do on any kind of "
        words += "question"
    if by_verdict["wrong way"]:
        words += f", and the wrong way on {named(by_verdict['wrong way'])}"
    return f"Adding {vector} moves answers {words}."


def _figure(study: Study, responses: pl.DataFrame, n_random: int) -> Figure:
    vector = study.suite.intervention_vectors[0]
    families = responses["family"].unique(maintain_order=True).to_list()[:MOST_FAMILIES]
    nothing = Interval(0.0, 0.0, 0.0), None, Range(0.0, 0.0)
    points = []
    for family, panel in zip(families, plain(families), strict=True):
        words = {"panel": panel, "series": vector}
        points.append(point(*nothing, **words, coefficient=0.0))
        of_family = responses.filter(pl.col("family") == family)
        for (coefficient,), part in of_family.group_by("coefficient", maintain_order=True):
            own = part.filter(pl.col("direction") == OWN).row(0, named=True)
            others = part.filter(pl.col("direction") != OWN)["shift"].drop_nulls().to_list()
            null = Range(min(others), max(others)) if others else None
            shift = interval_of(own, "shift")
            points.append(point(shift, own["n"], null, **words, coefficient=coefficient))
    data = chart_data(points, ["panel", "series", "coefficient"])
    unit, where = UNITS[study.suite.coefficient_unit], WHERE[study.settings.interventions.where]
    return Figure(
        f"Shift of the log-odds by how much of {vector} is added",
        f"Added {where}; a coefficient of 1 is {unit}. The coloured band is the 95% interval "
        f"clustered by topic, the grey one the range of {n_random} random vectors of the same "
        "norm. A cause rises out of the grey band from left to right.",
        lines(
            {"title": "shift of the log-odds", "chance": 0},
            {"field": "coefficient", "title": "coefficient"},
            coloured([vector]),
            plain(families),
            null=True,
        ),
        data.sort(pl.col("panel").cast(pl.Enum(plain(families))), "coefficient"),
    )


def _tables(facts: Mapping[str, Mapping[str, Any]]) -> list[FoldedTable]:
    """Of the sections of the summary, by template."""
    rows = [
        [
            *(one["family"], one["n"], one["added"], one["random"], p_text(one["slope_p"])),
            *(one["removed"], one["random_removed"]),
        ]
        for one in facts["causal"]["families"]
    ]
    tables = [FoldedTable("Effects of adding and removing, in log-odds", TableData(HEADER, rows))]
    if facts["causal"]["others"].rows:
        caption = "Effects of the other vectors, each added and removed at its own layer"
        tables.append(FoldedTable(caption, facts["causal"]["others"]))
    if "steering" in facts:
        caption = "Share of sycophantic answers, of those that did not and that did give in before"
        tables.append(FoldedTable(caption, facts["steering"]["rates"]))
    if "side_effects" in facts:
        caption = "What steering costs: plain facts and neutral text"
        tables.append(FoldedTable(caption, facts["side_effects"]["costs"]))
    return tables
