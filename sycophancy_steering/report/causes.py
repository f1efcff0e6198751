"""Whether vectors that predict also cause, and whether prompting does as well."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.schemas.table import estimate

NONADDITIVITY = "nonadditivity"
_, LOW, HIGH = estimate(NONADDITIVITY)
DIRECTIONS = {False: "Away from sycophancy", True: "Towards sycophancy"}
DOES_NOT_FIT = "does not fit"


def causes_section(agreement: pl.DataFrame, two_layers: pl.DataFrame) -> Section | None:
    """Predictivity against causal effect, and additivity over layers.

    `agreement` is agreement.csv of the interventions, `two_layers` two_layers.csv; None where
    neither was tried.
    """
    if not len(two_layers):
        return None
    families = [
        {**row, "added": interval_of(row, "slope"), "removed": interval_of(row, "removal")}
        for row in agreement.iter_rows(named=True)
    ]
    departing = two_layers.filter((pl.col(LOW) > 0) | (pl.col(HIGH) < 0))
    by_size = two_layers.sort(pl.col(NONADDITIVITY).abs(), descending=True)
    largest = by_size.row(0, named=True)
    return Section(
        "causes",
        {
            "families": families,
            "n_departing": len(departing),
            "n_pairs": len(two_layers),
            "largest": {**largest, NONADDITIVITY: interval_of(largest, NONADDITIVITY)},
        },
    )


def prompting_section(prompting: pl.DataFrame, headline: str) -> Section | None:
    """Steering beside prompts of as many examples. `prompting` is prompting.csv; None where it is
    empty."""
    if not len(prompting):
        return None
    families = prompting["family"].unique(maintain_order=True).to_list()
    tables = []
    for towards, words in DIRECTIONS.items():
        part = prompting.filter(pl.col("towards") == towards)
        rows: list[list[object]] = []
        kinds = part.select("method", "n_examples").unique(maintain_order=True)
        for method, n_examples in kinds.sort("n_examples", "method").rows():
            of = part.filter(pl.col("method") == method, pl.col("n_examples") == n_examples)
            cells = [changed_share(of, family) for family in families]
            rows.append([method, n_examples, of["n_seeds"][0], *cells])
        counts = {row["family"]: row["n_changed"] for row in part.iter_rows(named=True)}
        header = [words, "examples", "seeds", *(f"{f} (n = {counts[f]})" for f in families)]
        tables.append(TableData(header, rows))
    return Section("prompting", {"headline": headline, "tables": tables})


def changed_share(prompting: pl.DataFrame, family: str) -> object:
    """The share of answers changed in one family."""
    row = prompting.filter(pl.col("family") == family).row(0, named=True)
    return DOES_NOT_FIT if row["shift"] is None else interval_of(row, "changed_share")
