"""Files of records, JSON or CSV, read strictly. Records know their location for error messages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError

REMEDY = "correct the record or fetch the file again (see data/public/README.md)"


@dataclass(frozen=True)
class Record:
    """One record of a file, and its location."""

    source: str
    """The file's stem."""
    location: str
    """File and line, or file and number of the record, counted from 1."""
    fields: Mapping[str, object]

    def location_of(self, key: str) -> str:
        """The location of `key`, for a message."""
        return f"{self.location}, key {key!r}"

    def error(self, key: str, expected: str) -> InputError:
        """An InputError about the value of `key`."""
        value = shortened(self.fields[key]) if key in self.fields else "no such key"
        return InputError(f"{self.location_of(key)}: expected {expected}, found {value}; {REMEDY}")

    def text(self, key: str) -> str:
        """The text under `key`, unchanged. Raises InputError where it is missing or blank."""
        value = self.fields.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text that is not empty")
        return value


def shortened(value: object, width: int = 60) -> str:
    """`value` in one short line, for a message."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def read_text(path: Path) -> str:
    """The file's text without a byte order mark, with its own line ends. Raises InputError."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8, byte {error.start} is not; {REMEDY}") from None


def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The JSON object of `pairs`. Raises ValueError for a repeated key, unlike `json`."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"found the key {shortened(twice)} twice in one object")
    return fields


def from_json(text: str, location: str) -> object:
    """The JSON value in `text`. Raises InputError."""
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos + 1}"
        raise InputError(f"{location}: expected valid JSON, found {reason}; {REMEDY}") from None
    except ValueError as error:
        raise InputError(f"{location}: expected different keys, {error}; {REMEDY}") from None


def as_record(path: Path, location: str, value: object) -> Record:
    """`value` as a record. Raises InputError where it is no JSON object."""
    if not isinstance(value, dict):
        raise InputError(
            f"{location}: expected an object {{...}}, found {shortened(value)}; {REMEDY}"
        )
    return Record(source=path.stem, location=location, fields=value)


def json_lines(path: Path) -> Iterator[Record]:
    """One record a line. Blank lines are skipped."""
    # Not splitlines(): a text may hold U+2028, which ends no line of JSON.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            yield as_record(path, place, from_json(line, place))


def json_list(path: Path) -> Iterator[Record]:
    """The records of a JSON list."""
    text = read_text(path)
    values = from_json(text, str(path)) if text.strip() else []
    if not isinstance(values, list):
        raise InputError(
            f"{path}: expected a list [...] of records, found {shortened(values)}; {REMEDY}"
        )
    for number, value in enumerate(values, start=1):
        yield as_record(path, f"{path}, record {number}", value)


def csv_rows(path: Path, required: Iterable[str]) -> Iterator[Record]:
    """One record a row. Raises InputError where the first row lacks a name in `required`."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        columns = next(rows, None)
        if columns is None:
            return
        for column in required:
            if column not in columns:
                raise InputError(
                    f"{path}, line 1, column {column!r}: expected this column, "
                    f"found {', '.join(columns)}; fetch the file again (see data/public/README.md)"
                )
        for cells in rows:
            place = f"{path}, line {rows.line_num}"
            if len(cells) != len(columns):
                raise InputError(
                    f"{place}: expected {len(columns)} cells as in line 1, "
                    f"found {len(cells)}; {REMEDY}"
                )
            yield Record(path.stem, place, dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        place = f"{path}, line {rows.line_num}"
        raise InputError(f"{place}: expected valid CSV, {error}; {REMEDY}") from None
