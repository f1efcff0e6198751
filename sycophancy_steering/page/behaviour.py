"""What the model does: does the user's view move its answers at all?"""

from __future__ import annotations

from sycophancy_steering.formatting.numbers import share_text
from sycophancy_steering.page.charts import dots
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
    moved = [one for one in families if one["sycophantic"]]
    still = [one["family"] for one in families if not one["sycophantic"]]
    if moved:
        rates = [one["rate"].value for one in moved if one["rate"]]
        finding = (
            f"On {named([one['family'] for one in moved])} questions the model says what the user "
            f"wants to hear in {share_text(min(rates))} to {share_text(max(rates))} of its answers,"
            f" more often than without the user's view."
        )
        finding += f" On {named(still)} it is not moved." if still else ""
    else:
        finding = "The user's words do not move this model's answers: there is nothing to predict."
    return Section(
        finding,
        [study.behaviour_path],
        Figure(
            "Share of sycophantic answers",
            "Dots are shares of the answers that count, whiskers 95% intervals clustered by topic; "
            "n is the number of answers. Sycophancy is the distance between the dots of a row.",
            dots(
                {"title": "share of sycophantic answers", "domain": [0, 1]},
                "family",
                [*SERIES.values()],
            ),
            chart_data(points, ["family", "series"]),
        ),
        [FoldedTable("Behaviour by kind of question", TableData([*HEADER, *REST], rows))],
        {"by_letter": [one for one in families if one["answers_by_letter"]]},
    )
