"""A table from elsewhere, CSV, Parquet or JSON lines, whose cells know their place."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.records import csv_rows, json_lines, read_text, shortened

Value = TypeVar("Value")
REMEDY = "correct the cell, or leave the row out"
TRUTHS = {"true": 1.0, "false": 0.0}
"""Words for the labels 1 and 0, as CSV and JSON write them."""


@dataclass(frozen=True)
class Row:
    """One row, and its place: file and line, or file and number of the row from 1."""

    place: str
    cells: Mapping[str, object]


@dataclass(frozen=True)
class CellTable:
    """The rows of a file, in its order."""

    path: Path
    rows: Sequence[Row]

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
            value = read(row.cells.get(column))
            if value is None:
                raise cell_error(row, column, wanted)
            values.append(value)
        return values


def cell_error(row: Row, column: str, expected: str) -> InputError:
    """An InputError about one cell."""
    cell = row.cells.get(column)
    shown = "nothing" if cell is None or cell == "" else shortened(cell)
    return InputError(
        f"{row.place}, column {column!r}: expected {expected}, found {shown}; {REMEDY}"
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
    """The `columns` of a file that ends in .csv, .parquet or .jsonl.

    Raises InputError for a file that is missing or not of its kind, for a column that it lacks or
    has twice, and for a file without rows. A JSON line may lack a key: that cell is empty.
    """
    readers = {".csv": _csv, ".parquet": _parquet, ".jsonl": _json_lines}
    if path.suffix not in readers:
        raise InputError(f"{path}: expected a file that ends in {', '.join(readers)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a table with {_quoted(columns)}")
    try:
        rows = list(readers[path.suffix](path, columns))
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror or error})") from None
    except RecursionError:
        raise InputError(f"{path}: expected flat records, found deeply nested ones") from None
    if not rows:
        raise InputError(f"{path}: expected rows, found none")
    return CellTable(path, rows)


def _csv(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    try:
        header = next(csv.reader(io.StringIO(read_text(path), newline=""), strict=True), [])
    except csv.Error as error:
        raise InputError(f"{path}, line 1: expected valid CSV, {error}") from None
    _check_columns(f"{path}, line 1", columns, header)
    for record in csv_rows(path, columns):
        yield Row(record.location, {name: record.fields[name] for name in columns})


def _json_lines(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    known: dict[str, None] = {}
    for record in json_lines(path):
        known |= dict.fromkeys(record.fields)
        yield Row(record.location, {name: record.fields.get(name) for name in columns})
    if known:
        _check_columns(str(path), columns, list(known))


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
        _check_columns(str(path), columns, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(columns=list(columns)):
            for cells in batch.to_pylist():
                number += 1
                yield Row(f"{path}, row {number}", cells)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not readable as Parquet ({reason})") from None


def _check_columns(place: str, columns: Sequence[str], header: Sequence[str]) -> None:
    for column in columns:
        if column not in header:
            known = ", ".join(header[:20]) + (", ..." if len(header) > 20 else "")
            raise InputError(f"{place}: no column {column!r}; expected one of {known or 'none'}")
        if list(header).count(column) > 1:
            raise InputError(f"{place}: the column {column!r} is there twice; rename one of them")


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, dict.fromkeys(columns)))
