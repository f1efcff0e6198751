"""Published figures beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sycophancy_steering.formatting.numbers import Interval, number_text
from sycophancy_steering.page.charts import dots
from sycophancy_steering.page.colours import MOST_SERIES, coloured
from sycophancy_steering.page.estimates import chart_data, point
from sycophancy_steering.page.section import Figure, FoldedTable, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.predictivity import CHANCE
from sycophancy_steering.report.published import (
    FIGURES,
    MODEL_AND_MEASURE,
    PUBLISHED,
    Comparison,
    compare_published,
)
from sycophancy_steering.report.published_measures import MEASURES, OurNumber
from sycophancy_steering.report.templates import TableData

PUBLISHED_SERIES = "published"
DRAWN = "auroc"
"""The measure that is drawn: most of the published figures that ours stand beside are AUROCs."""
HEADER = ("behaviour", "model", "measure", "published", "ours", "what differs", "source")
SUMMARY_MARK = "†"
"""Of a figure that was read in a summary."""


def published(study: Study) -> Section | None:
    """What others have published, with ours where measure and kind of question match."""
    comparisons = compare_published(study.settings.suites, [*study.settings.organisms])
    if not comparisons:
        return None
    return Section(
        _finding(comparisons),
        [str(PUBLISHED), str(FIGURES)],
        _figure(comparisons),
        [FoldedTable("Every published figure, and ours", _table(comparisons))],
    )


def _finding(comparisons: Sequence[Comparison]) -> str:
    n_beside = sum(bool(one.ours) for one in comparisons)
    n_same = sum(one.match == MODEL_AND_MEASURE for one in comparisons)
    return (
        f"Of {len(comparisons)} published figures, {n_beside} have one of ours beside them, "
        f"{n_same or 'none'} of the same model: questions, labels and layers differ, so they say "
        "where a number lies, not whether it was reproduced."
    )


def _figure(comparisons: Sequence[Comparison]) -> Figure | None:
    shown = [one for one in comparisons if one.published.measure == DRAWN and one.ours]
    if not shown:
        return None
    points: dict[str, dict[str, Any]] = {}
    for one in sorted(shown, key=lambda one: one.published.family):  # those of a kind together
        figure, kind = one.published, one.published.family.replace("_", " ")
        for own in one.ours:
            label = f"{kind}: {own.model} (ours)"
            points[label] = point(_interval(own.number), own.number.n, row=label, series=own.model)
        bounds = Interval(figure.value, _bound(figure.low), _bound(figure.high))
        label = f"{kind}: {_model(one)}"
        points[f"{label}, {figure.setting}"] = point(
            bounds, figure.n, row=label, series=PUBLISHED_SERIES
        )
    series = [PUBLISHED_SERIES, *dict.fromkeys(own.model for one in shown for own in one.ours)]
    data = chart_data([*points.values()], ["row", "series"])
    return Figure(
        "Published AUROCs, and ours on the same kind of question",
        "Ours have 95% intervals clustered by topic and the number of answers n; published ones "
        "have what their authors gave. Ours are of topics that the vector was not made from. "
        f"{SUMMARY_MARK} read in a summary.",
        dots(
            {"title": "AUROC (0.5 is chance)", "domain": [0, 1], "chance": CHANCE},
            "row",
            coloured(series[:MOST_SERIES], data["series"]),
        ),
        data,
    )


def _table(comparisons: Sequence[Comparison]) -> TableData:
    rows = []
    for one in comparisons:
        figure = one.published
        added = "" if figure.coefficient is None else f"; {figure.coefficient:+g} of the vector"
        ours = tuple(f"{own.model} {_words(own.number)}" for own in one.ours) or "none"
        differs = "; ".join(dict.fromkeys(own.differs for own in one.ours)) or one.why_none
        rows.append(
            [
                figure.behaviour,
                _model(one),
                f"{MEASURES[figure.measure].words} ({figure.setting}{added})",
                _published_words(one),
                ours,
                differs,
                figure.source,
            ]
        )
    return TableData(HEADER, rows)


def _model(one: Comparison) -> str:
    model = one.published.model
    return "model not said" if model == "not said" else model


def _published_words(one: Comparison) -> str:
    figure = one.published
    number = OurNumber(figure.value, figure.low, figure.high, figure.n)
    mark = SUMMARY_MARK if figure.read_in == "summary" else ""
    return f"{_words(number, 3)}{mark}"


def _words(number: OurNumber, decimals: int = 2) -> str:
    value = number_text(number.value, decimals)
    if number.low is None or number.high is None:
        return value
    return f"{value} [{number_text(number.low, decimals)}, {number_text(number.high, decimals)}]"


def _interval(number: OurNumber) -> Interval:
    return Interval(number.value, _bound(number.low), _bound(number.high))


def _bound(value: float | None) -> float:
    return float("nan") if value is None else value
