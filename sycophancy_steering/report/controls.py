"""Model organisms, whose cause of sycophancy is known, and whether the study finds it."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of
from sycophancy_steering.report.templates import Section, TableData

FAMILIES = {"opinion_auroc": "opinion AUROC", "misconception_auroc": "misconception AUROC"}
"""Columns of the vector from opinions, and their headers."""
ANTICIPATION_AND_RECORD = {
    "anticipation_record_cosine": "cosine",
    "anticipation_prompt_auroc": "anticipation before the answer",
    "anticipation_continuation_auroc": "anticipation after it",
    "record_prompt_auroc": "record before the answer",
    "record_continuation_auroc": "record after it",
}
"""Columns of both vectors from opinions, and their headers."""


def controls_section(controls: pl.DataFrame) -> Section:
    """What is known of the organisms, and what their vectors show."""
    rows = controls.rows(named=True)
    return Section(
        "controls",
        {
            "families": TableData(
                ["organism", "cosine with the planted direction", *FAMILIES.values()],
                [
                    [
                        row["organism"],
                        row["planted_cosine"],
                        *(interval_of(row, c) for c in FAMILIES),
                    ]
                    for row in rows
                ],
            ),
            "anticipation": TableData(
                ["organism", *ANTICIPATION_AND_RECORD.values()],
                [
                    [row["organism"], *(interval_of(row, c) for c in ANTICIPATION_AND_RECORD)]
                    for row in rows
                ],
            ),
        },
    )
