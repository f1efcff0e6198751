"""Rows of charts: an estimate with its interval, its null and its n under the names charts use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, Range, interval_of, range_of

COLUMNS = {
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "null_low": pl.Float64,
    "null_high": pl.Float64,
    "n": pl.Int64,
}
"""What charts draw; see charts.py."""


def point(
    estimate: Interval | None, n: int | None = None, null: Range | None = None, **words: Any
) -> dict[str, Any]:
    """A mark; `words` are its other columns (`panel`, `series`, ...)."""
    return {
        **words,
        "value": estimate.value if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
        "null_low": null.low if null else None,
        "null_high": null.high if null else None,
        "n": n,
    }


def point_of(row: Mapping[str, Any], name: str, null: str = "", **words: Any) -> dict[str, Any]:
    """The estimate NAME of a table's row, beside its range `null`."""
    return point(
        interval_of(row, name), row.get("n"), range_of(row, null) if null else None, **words
    )


def chart_data(points: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pl.DataFrame:
    """The marks as a table of `columns` of words or numbers, then the numbers that have any."""
    rows = [dict(row) for row in points if row["value"] is not None]
    table = pl.DataFrame(rows, infer_schema_length=None, schema_overrides=COLUMNS)
    numbers = [name for name in COLUMNS if rows and table[name].null_count() < len(table)]
    return table.select([*columns, *numbers]) if rows else pl.DataFrame()


def plain(names: Iterable[str]) -> list[str]:
    """Names without underscores, as they are shown."""
    return [name.replace("_", " ") for name in names]
