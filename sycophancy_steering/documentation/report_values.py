"""Single values and small tables out of reports, as a page shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import (
    MISSING,
    Interval,
    interval_of,
    interval_text,
    number_text,
)
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.table import estimate

TIE = 1e-9
"""Numbers of CSV files were rounded when they were written: of a number halfway, the upper one."""


def json_value(path: Path, key: str, number_format: str = "") -> str:
    """The value at `a.b.c` of a JSON file, in a format of Python's (`.0f`, `.0%`, `,`).

    Raises InputError for a key that is not there, and for a value that the format does not suit.
    """
    try:
        value = reduce(lambda part, name: part[name], key.split("."), json.loads(path.read_text()))
        return format(value, number_format)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {key}: expected a value in the format {number_format!r}: "
                         f"{error}") from None  # fmt: skip


def csv_table(path: Path, words: Sequence[str]) -> str:
    """Rows of a CSV file as a Markdown table.

    A word is a condition (`family=opinion`), a column, or `column:heading`. A column with bounds
    is shown with its interval.
    """
    rows = pl.read_csv(path, infer_schema_length=None)
    for name, value in (word.split("=", 1) for word in words if "=" in word):
        rows = rows.filter(_column(rows, name, path).cast(pl.String) == value)
    shown = [word.partition(":") for word in words if "=" not in word]
    if rows.is_empty() or not shown:
        raise InputError(f"{path}: expected rows and columns of {' '.join(words)}, found none")
    for name, *_ in shown:
        _column(rows, name, path)
    return markdown_table(
        [heading or name.replace("_", " ") for name, _, heading in shown],
        [[_cell(row, name) for name, *_ in shown] for row in rows.iter_rows(named=True)],
    )


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose cells may hold any text."""
    lines = [headings, ["---"] * len(headings), *rows]
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def estimate_text(row: Mapping[str, Any], name: str) -> str:
    """The estimate NAME of a CSV file's row with its interval, `0.83 [0.78, 0.87]`."""
    interval = interval_of(row, name)
    if interval is None:
        return MISSING
    return interval_text(Interval(interval.value + TIE, interval.low + TIE, interval.high + TIE))


def _column(rows: pl.DataFrame, name: str, path: Path) -> pl.Series:
    if name not in rows.columns:
        raise InputError(f"{path}: {name}: expected one of {', '.join(rows.columns)}")
    return rows[name]


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        has_bounds = all(column in row for column in estimate(name))
        return estimate_text(row, name) if has_bounds else number_text(value + TIE)
    return str(value)
