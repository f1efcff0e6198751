"""Is it more than a simpler thing?"""

from __future__ import annotations

from sycophancy_steering.formatting.numbers import interval_text
from sycophancy_steering.page.charts import AUROC, dots
from sycophancy_steering.page.colours import coloured
from sycophancy_steering.page.estimates import chart_data, plain, point
from sycophancy_steering.page.section import Figure, FoldedTable, Section, named
from sycophancy_steering.page.simpler import MARGIN, PROBE, WORDS, Simpler, simpler_things
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.analysis import incremental_validity_section
from sycophancy_steering.report.causes import prompting_section
from sycophancy_steering.report.labels import labels_section
from sycophancy_steering.report.templates import TableData
from sycophancy_steering.schemas import analysis, comparison, interventions, labels
from sycophancy_steering.schemas.predictivity import CELLS

VECTOR = "the vector"
SERIES = (VECTOR, WORDS, PROBE, MARGIN)


def simpler(study: Study) -> Section | None:
    """The vector's AUROC beside those of what needs no vector."""
    things = simpler_things(study)
    if not things:
        return None
    names = {"model": study.model, "prompt_set": study.suite.evaluation_set}
    of_labels = labels_section(
        labels.CONFOUNDS.read(**names), labels.SOURCE_AGREEMENT.read(**names)
    ).facts
    return Section(
        _finding(things),
        [
            str(analysis.INCREMENTAL_VALIDITY.path(model=study.model)),
            str(CELLS.path(model=study.model, prompt_set=study.suite.headline_set)),
            str(comparison.DIFFERENCES.path()),
            str(interventions.PROMPTING.path(model=study.model)),
            str(labels.SOURCE_AGREEMENT.path(**names)),
        ],
        _figure(things),
        _tables(study, of_labels["agreement"]),
        {"confounds": [one for one in of_labels["families"] if one["confounded"]]},
    )


def _finding(things: list[Simpler]) -> str:
    better = [one.family for one in things if one.better]
    if better:
        return f"The vector is better than the best simpler thing on {named(better)}."
    best = [
        f"{plain([one.family])[0]} {interval_text(one.best[1])} by {one.best[0]}" for one in things
    ]
    return (
        "The vector is not shown to be better than the best simpler thing on any kind of question: "
        f"{'; '.join(best)}."
    )


def _figure(things: list[Simpler]) -> Figure:
    points = [
        point(auroc, one.n, one.random, family=plain([one.family])[0], series=name)
        for one in things
        for name, auroc in {VECTOR: one.vector, **one.predictors}.items()
    ]
    data = chart_data(points, ["family", "series"])
    caption = (
        "Whiskers are 95% intervals clustered by topic, the grey bar holds 95% of random "
        "directions. A reader of the prompt's words has no model in it; a probe is trained on the "
        "same activations."
    )
    if things[0].margin_is_label:
        caption += " The label is read from the log-probabilities, so the logit margin is right by "
        caption += "definition."
    return Figure(
        "AUROC before the answer: the vector and simpler things",
        caption,
        dots(AUROC, "family", coloured(SERIES, data["series"]), null=True),
        data,
    )


def _tables(study: Study, agreement: TableData | None) -> list[FoldedTable]:
    tables = []
    validity = incremental_validity_section(
        analysis.INCREMENTAL_VALIDITY.read(model=study.model),
        study.suite.headline,
        study.not_sycophantic,
    )
    if validity:
        caption = "What the projection adds to the prompt's words and to the logit margin"
        tables.append(FoldedTable(caption, validity.facts["validity"]))
    prompting = prompting_section(
        interventions.PROMPTING.read(model=study.model), study.suite.intervention_vectors[0]
    )
    if prompting:
        tables += [
            FoldedTable(f"Share of answers changed by prompting and by steering: {words}", table)
            for table in prompting.facts["tables"]
            for words in [str(table.header[0]).lower()]
        ]
    if agreement:
        tables.append(FoldedTable("Agreement of label sources", agreement))
    return tables
