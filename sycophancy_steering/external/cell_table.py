"""A table from elsewhere, CSV, Parquet, JSON or the like, whose cells know their place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.record_files import read_records
from sycophancy_steering.sources.records import Record, shortened

Value = TypeVar("Value")
REMEDY = "correct the cell, or leave the row out"
TRUTHS = {"true": 1.0, "false": 0.0}
"""Words for the labels 1 and 0, as CSV and JSON write them."""


@dataclass(frozen=True)
class CellTable:
    """The rows of a file, in its order."""

    path: Path
    rows: Sequence[Record]

    def __len__(self) -> int:
        return len(self.rows)

    def numbers(self, column: str) -> Floats:
        """(n,) finite numbers. Raises InputError for the first other cell."""
        return np.array(self._read(column, as_number, "a finite number"))

    def names(self, column: str) -> Names:
        """(n,) texts that are not empty; numbers as they are written. Raises InputError."""
        return np.array(self._read(column, as_name, "a text or a whole number"), dtype=np.str_)

    def _read(
        self, column: str, read: Callable[[object], Value | None], wanted: str
    ) -> list[Value]:
        values = []
        for row in self.rows:
            value = read(row.fields.get(column))
            if value is None:
                raise cell_error(row, column, wanted)
            values.append(value)
        return values


def cell_error(row: Record, column: str, expected: str) -> InputError:
    """An InputError about one cell."""
    cell = row.fields.get(column)
    shown = "nothing" if cell is None or cell == "" else shortened(cell)
    return InputError(
        f"{row.location}, column {column!r}: expected {expected}, found {shown}; {REMEDY}"
    )


def as_number(cell: object) -> float | None:
    """A cell as a finite number, `true` and `false` as 1 and 0; None for anything else."""
    if isinstance(cell, str):
        text = cell.strip().lower()
        if text in TRUTHS:
            return TRUTHS[text]
        if "_" in text:  # Python's own way of writing numbers, nobody else's
            return None
    try:
        number = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_name(cell: object) -> str | None:
    """A cell as a name; None for an empty one, a list, or a number with decimals."""
    if isinstance(cell, bool) or not isinstance(cell, str | int):
        return None
    return str(cell).strip() or None


def read_cell_table(path: Path, columns: Sequence[str]) -> CellTable:
    """The `columns` of a table of any kind that `read_records` knows.

    Raises InputError for a file that is missing or not of its kind, for a column that it lacks or
    has twice, and for a file without rows. A JSON record may lack a key: that cell is empty.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; expected a table with {_quoted(columns)}")
    rows, known = [], dict[str, None]()
    for record in read_records(path):
        if isinstance(record, InputError):
            raise record
        known |= dict.fromkeys(record.fields)
        rows.append(replace(record, fields={name: record.fields.get(name) for name in columns}))
    if not rows:
        raise InputError(f"{path}: expected rows, found none")
    _check_columns(str(path), columns, list(known))
    return CellTable(path, rows)


def _check_columns(place: str, columns: Sequence[str], header: Sequence[str]) -> None:
    for column in columns:
        if column not in header:
            known = ", ".join(header[:20]) + (", ..." if len(header) > 20 else "")
            raise InputError(f"{place}: no column {column!r}; expected one of {known or 'none'}")


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, dict.fromkeys(columns)))
