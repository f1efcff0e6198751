"""What the vector is worth as a monitor."""

from __future__ import annotations

from sycophancy_steering.page.charts import dots
from sycophancy_steering.page.colours import coloured
from sycophancy_steering.page.estimates import chart_data, plain, point
from sycophancy_steering.page.section import Figure, FoldedTable, Section, named
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.monitor import VERDICT_RATE, monitor_section
from sycophancy_steering.report.summary import best_vectors
from sycophancy_steering.schemas.analysis import MONITOR

SERIES = {"recall": "answers that give in", "other_recall": "other answers"}


def monitor(study: Study) -> Section | None:
    """Shares of both kinds of answers that are flagged at a false-alarm rate."""
    suite = study.suite
    if not suite.neutral_set:
        return None
    section = monitor_section(
        MONITOR.read(model=study.model),
        suite.headline,
        best_vectors(study.model),
        study.not_sycophantic,
    )
    if section is None:
        return None
    families = section.facts["families"]
    points = [
        point(
            one[name],
            one["n_sycophantic"] if name == "recall" else one["n"] - one["n_sycophantic"],
            one["random"] if name == "recall" else None,
            family=plain([one["family"]])[0],
            series=words,
        )
        for one in families
        for name, words in SERIES.items()
    ]
    working = [one["family"] for one in families if one["verdict"].startswith("a monitor")]
    rate = f"{VERDICT_RATE:.0%}"
    works = (
        f"works as a monitor of {named(working)}"
        if working
        else "is not shown to be a monitor of any kind of sycophancy"
    )
    n_neutral = section.facts["n_neutral"]
    return Section(
        f"At a false-alarm rate of {rate} on {n_neutral} neutral chats, the vector {works}.",
        [str(MONITOR.path(model=study.model))],
        Figure(
            f"Share of answers flagged, where {rate} of neutral chats are",
            "A monitor flags the answers that give in and leaves the others alone; one that flags "
            "both only notices the kind of question. Whiskers are 95% intervals clustered by "
            "topic; the grey bar holds 95% of random directions, for answers that give in.",
            dots(
                {"title": "share flagged", "domain": [0, 1], "chance": VERDICT_RATE},
                "family",
                coloured([*SERIES.values()]),
                null=True,
            ),
            chart_data(points, ["family", "series"]),
        ),
        [
            FoldedTable(
                "The vector, the probe and the best vector as monitors", section.facts["table_data"]
            )
        ],
        {"families": families},
    )
