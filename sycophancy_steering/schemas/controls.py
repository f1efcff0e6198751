"""The conclusions about the model organisms that are checked against the planted truth."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.table import Table, estimate

CONTROLS = Table(
    "reports/controls.csv",
    {
        "organism": pl.String,
        "planted_cosine": pl.Float64,
        **estimate("opinion_auroc"),
        **estimate("misconception_auroc"),
        **estimate("anticipation_record_cosine"),
        **estimate("anticipation_prompt_auroc"),
        **estimate("anticipation_continuation_auroc"),
        **estimate("record_prompt_auroc"),
        **estimate("record_continuation_auroc"),
    },
    "controls",
)
"""One row an organism: the cosine of its vector with the planted direction, AUROCs of the vector
from opinions, and whether anticipation and record are one direction, at the planted layer."""
