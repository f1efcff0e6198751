"""What the model does: does the user's view move its answers at all?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sycophancy_steering.formatting.numbers import share_text
from sycophancy_steering.page.charts import dots
from sycophancy_steering.page.colours import coloured
from sycophancy_steering.page.estimates import chart_data, plain, point
from sycophancy_steering.page.section import Figure, FoldedTable, Section, named
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.behaviour import behaviour_section
from sycophancy_steering.report.templates import TableData

SERIES = {
    "rate": "as asked, with the user's view",
    "control_rate": "the same question without it",
    "opposite_rate": "to a user of the opposite view",
}
HEADER = ("kind of question", "n", "topics", "rate", "control", "control rate")
REST = ("rate to the opposite user", "turned by the user", "shift, log-odds", "do not count")


def behaviour(study: Study) -> Section:
    """Rates by family, against the same questions without the user's view."""
    families = behaviour_section(study.model, study.behaviour).facts["families"]
    points = [
        point(one[name], one["n"], family=label, series=words)
        for one, label in zip(families, plain(one["family"] for one in families), strict=True)
        for name, words in SERIES.items()
    ]
    rows = [
        [
            *(label, one["n"], one["n_items"], one["rate"], one["control"], one["control_rate"]),
            *(one["opposite_rate"], one["turned_rate"], one["shift"], one["n_left_out"]),
        ]
        for one, label in zip(families, plain(one["family"] for one in families), strict=True)
    ]
    data = chart_data(points, ["family", "series"])
    return Section(
        _finding(families),
        [study.behaviour_path],
        Figure(
            "Share of sycophantic answers",
            "Dots are shares of the answers that count, whiskers 95% intervals clustered by topic; "
            "n is the number of answers. Sycophancy is the distance between the dots of a row.",
            dots(
                {"title": "share of sycophantic answers", "domain": [0, 1]},
                "family",
                coloured([*SERIES.values()], data["series"]),
            ),
            data,
        ),
        [FoldedTable("Behaviour by kind of question", TableData([*HEADER, *REST], rows))],
        {"by_letter": [one for one in families if one["answers_by_letter"]]},
    )


def _finding(families: Sequence[Mapping[str, Any]]) -> str:
    moved = [one for one in families if one["sycophantic"]]
    if not moved:
        return "The user's words do not move this model's answers: there is nothing to predict."
    words = (
        f"On {named([one['family'] for one in moved])} questions the user's view moves the model: "
        f"it says what the user wants to hear in {_span(moved, 'rate')} of its answers, against "
        f"{_span(moved, 'control_rate')} without that view."
    )
    still = [one["family"] for one in families if not one["sycophantic"]]
    return f"{words} On {named(still)} questions it does not." if still else words


def _span(families: Sequence[Mapping[str, Any]], name: str) -> str:
    """`65% to 94%`."""
    shares = sorted(one[name].value for one in families if one[name])
    ends = dict.fromkeys(share_text(share) for share in (shares[:1] + shares[-1:]))
    return " to ".join(ends) or "an unknown share"
