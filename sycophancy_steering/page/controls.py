"""The model organisms as controls: does the method find what was planted in them?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sycophancy_steering.analysis.controls import contradictions
from sycophancy_steering.formatting.numbers import Interval, interval_of, interval_text, number_text
from sycophancy_steering.organisms.ground_truth import PlantedCause, read_planted_cause
from sycophancy_steering.page.dots_svg import SHARES, dot
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.anticipation import ONE_DIRECTION
from sycophancy_steering.report.controls import controls_section
from sycophancy_steering.report.predictivity import CHANCE
from sycophancy_steering.report.templates import TableData
from sycophancy_steering.schemas.controls import CONTROLS
from sycophancy_steering.schemas.paths import MODELS


@dataclass(frozen=True)
class Check:
    """One number about what was planted, and what it has to be."""

    name: str
    expected: str
    number: str
    picture: Markup


@dataclass(frozen=True)
class Control:
    """One organism, and whether its study says what was planted."""

    organism: str
    planted: str
    checks: Sequence[Check]
    contradictions: Sequence[str]
    """The conclusions that contradict what was planted: none where the method works."""


@dataclass(frozen=True)
class Controls:
    """All organisms, and the same numbers as tables."""

    organisms: Sequence[Control]
    tables: Sequence[TableData]
    source: str

    @property
    def n_right(self) -> int:
        """In how many of them the study finds what was planted."""
        return sum(not control.contradictions for control in self.organisms)


def read_controls(study: Study) -> Controls | None:
    """The organisms of reports/controls.csv; None where there are none."""
    if not study.settings.has_controls:
        return None
    table = CONTROLS.read()
    facts = controls_section(table).facts
    organisms = [
        control(row, read_planted_cause(MODELS / row["organism"]))
        for row in table.iter_rows(named=True)
    ]
    return Controls(organisms, [facts["families"], facts["anticipation"]], str(CONTROLS.path()))


def control(row: dict[str, Any], planted: PlantedCause) -> Control:
    """A row of the table CONTROLS beside what was planted."""
    shared = planted.n_causes == 1
    words = "one cause" if shared else "two causes: misconceptions have their own"
    if planted.separate_record:
        words += "; before and after the answer are two directions"
    cosine = row["planted_cosine"]
    checks = [
        Check(
            "cosine with the planted direction",
            "near 1",
            number_text(cosine),
            dot(Interval(cosine, cosine, cosine), SHARES, tick=1.0),
        )
    ]
    if planted.separate_record:
        agreement = interval_of(row, "anticipation_record_cosine")
        if agreement:
            checks.append(
                _check("cosine of before and after", "below 0.5", agreement, ONE_DIRECTION)
            )
    else:
        expected = {
            "opinion": "above 0.5",
            "misconception": "above 0.5" if shared else "around 0.5",
        }
        for family, words_expected in expected.items():
            if auroc := interval_of(row, f"{family}_auroc"):
                checks.append(_check(f"AUROC on {family}s", words_expected, auroc, CHANCE))
    return Control(row["organism"], words, checks, contradictions(planted, row))


def _check(name: str, expected: str, estimate: Interval, tick: float) -> Check:
    return Check(name, expected, interval_text(estimate), dot(estimate, SHARES, tick=tick))
