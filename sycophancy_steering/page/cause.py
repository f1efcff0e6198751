"""Is the vector a cause, and of one thing?"""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, Range, interval_of
from sycophancy_steering.page.charts import lines
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
    families = responses["family"].unique(maintain_order=True).to_list()[:MOST_FAMILIES]
    points = []
    shown = responses.filter(pl.col("family").is_in(families))
    for (family, coefficient), part in shown.group_by("family", "coefficient", maintain_order=True):
        own = part.filter(pl.col("direction") == OWN).row(0, named=True)
        others = part.filter(pl.col("direction") != OWN)["shift"].drop_nulls().to_list()
        null = Range(min(others), max(others)) if others else None
        shift = interval_of(own, "shift")
        panel = plain([str(family)])[0]
        points.append(
            point(shift, own["n"], null, panel=panel, series=vector, coefficient=coefficient)
        )
    points += [
        point(Interval(0.0, 0.0, 0.0), None, Range(0.0, 0.0), panel=panel, series=vector, coefficient=0.0)
        for panel in plain(families)
    ]
    points.sort(key=lambda one: (plain(families).index(one["panel"]), one["coefficient"]))
    sections = intervention_sections(
        study.model, study.suite, study.settings.interventions, study.behaviour
    )
    by_template = {section.template: section.facts for section in sections if section}
    causal = by_template["causal"]["families"]
    causes = [one["family"] for one in causal if one["verdict"] == "cause"]
    wrong = [one["family"] for one in causal if one["verdict"] == "wrong way"]
    n_random = by_template["causal"].get("n_random", 0)
    finding = (
        f"Adding {vector} moves answers towards sycophancy further than {n_random} random vectors "
        f"on {named(causes)}."
        if causes
        else f"Adding {vector} moves answers no further than {n_random} random vectors of the same "
        "norm on any kind of question."
    )
    finding += f" On {named(wrong)} it moves them the wrong way." if wrong else ""
    rows = [
        [
            *(one["family"], one["n"], one["added"], one["random"], f"{one['slope_p']:.3f}"),
            *(one["removed"], one["random_removed"]),
        ]
        for one in causal
    ]
    tables = [FoldedTable("Effects of adding and removing, in log-odds", TableData(HEADER, rows))]
    if "steering" in by_template:
        caption = "Share of sycophantic answers; of answers that did not and that did give in before"
        tables.append(FoldedTable(caption, by_template["steering"]["rates"]))
    if "side_effects" in by_template:
        caption = "What steering costs: plain facts and neutral text"
        tables.append(FoldedTable(caption, by_template["side_effects"]["costs"]))
    unit, where = UNITS[study.suite.coefficient_unit], WHERE[study.settings.interventions.where]
    return Section(
        finding,
        [
            str(table.path(model=study.model))
            for table in (
                interventions.DOSE_RESPONSE,
                interventions.CAUSAL_EFFECTS,
                interventions.SIDE_EFFECTS,
            )
        ],
        Figure(
            f"Shift of the log-odds by how much of {vector} is added",
            f"Added {where}; a coefficient of 1 is {unit}. The coloured band is the 95% interval "
            f"clustered by topic, the grey one the range of {n_random} random vectors of the same "
            "norm. A cause rises out of the grey band from left to right.",
            lines(
                {"title": "shift of the log-odds", "chance": 0},
                {"field": "coefficient", "title": "coefficient"},
                [vector],
                plain(families),
                null=True,
            ),
            chart_data(points, ["panel", "series", "coefficient"]),
        ),
        tables,
        {"missing": by_template["causal"]["missing"]},
    )
