"""Files of records, read strictly: JSON lines, a JSON list, a table, Parquet, Arrow.

Each reader yields records in the order of the file, and an InputError in the place of a record that
cannot be read, so that the caller decides whether to go on. It raises where the whole file cannot.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.arrow_files import arrow_rows, dataset_rows, parquet_rows
from sycophancy_steering.sources.records import REMEDY, Record, as_record, listed, shortened

Records = Iterator[Record | InputError]
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape that may stand for half a character, which no file can be written with."""
KINDS = ".jsonl, .json, .csv, .tsv, .parquet or .arrow, or a folder of `datasets`"


def read_records(path: Path, columns: Iterable[str] = ()) -> Records:
    """The records of a file of any of the `KINDS`; a table must have the `columns`.

    Raises InputError for another kind of file, and for one that cannot be read as a whole.
    """
    if path.is_dir():
        return dataset_rows(path)
    match path.suffix:
        case ".jsonl":
            return json_lines(path)
        case ".json":
            return json_list(path)
        case ".csv" | ".tsv":
            return table_rows(path, columns)
        case ".parquet":
            return parquet_rows(path)
        case ".arrow":
            return arrow_rows(path)
    raise InputError(f"{path}: expected a file that ends in {KINDS}")


def read_text(path: Path) -> str:
    """The file's text without a byte order mark, with its own line ends. Raises InputError."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8, byte {error.start} is not; {REMEDY}") from None


class RepeatedKey(ValueError):
    """A key that an object has twice."""


def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The JSON object of `pairs`. Raises RepeatedKey, unlike `json`."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKey(f"found the key {shortened(twice)} twice in one object")
    return fields


def from_json(text: str, location: str) -> object:
    """The JSON value in `text`. Raises InputError."""
    try:
        value = json.loads(text, object_pairs_hook=unique_keys)
        if SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos + 1}"
        raise InputError(f"{location}: expected valid JSON, found {reason}; {REMEDY}") from None
    except RepeatedKey as error:
        raise InputError(f"{location}: expected different keys, {error}; {REMEDY}") from None
    except UnicodeEncodeError:
        raise InputError(
            f"{location}: expected whole characters, found half of a surrogate pair; {REMEDY}"
        ) from None
    except RecursionError:
        raise InputError(f"{location}: expected JSON that is less deeply nested") from None
    except ValueError:  # an integer of thousands of digits
        raise InputError(f"{location}: expected shorter numbers; {REMEDY}") from None


def json_lines(path: Path) -> Records:
    """One record a line. Blank lines are skipped."""
    # Not splitlines(): a text may hold U+2028, which ends no line of JSON.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            try:
                yield as_record(path, place, from_json(line, place))
            except InputError as error:
                yield error


def json_list(path: Path) -> Records:
    """The records of a JSON list."""
    values = json_value(path)
    if not isinstance(values, list):
        raise InputError(
            f"{path}: expected a list [...] of records, found {shortened(values)}; {REMEDY}"
        )
    for number, value in enumerate(values, start=1):
        yield as_record(path, f"{path}, record {number}", value)


def json_value(path: Path) -> object:
    """The value in a JSON file; an empty list where the file is empty. Raises InputError."""
    text = read_text(path)
    return from_json(text, str(path)) if text.strip() else []


def table_rows(path: Path, columns: Iterable[str] = ()) -> Records:
    """One record a row, separated by commas or, in a .tsv, by tabs.

    Raises InputError where the first row lacks one of `columns`, or has a name twice.
    """
    separator = "\t" if path.suffix == ".tsv" else ","
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True, delimiter=separator)
    try:
        names = next(rows, None)
        if names is None:
            return
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(
                f"{path}, line 1: expected different columns, found {shortened(twice)} twice"
            )
        for column in columns:
            if column not in names:
                raise InputError(
                    f"{path}, line 1, column {column!r}: expected this column, "
                    f"found {listed(names)}; {REMEDY}"
                )
        for cells in rows:
            place = f"{path}, line {rows.line_num}"
            if len(cells) == len(names):
                yield Record(path, place, dict(zip(names, cells, strict=True)))
            elif cells:
                yield InputError(
                    f"{place}: expected {len(names)} cells as in line 1, "
                    f"found {len(cells)}; {REMEDY}"
                )
    except csv.Error as error:
        place = f"{path}, line {rows.line_num}"
        raise InputError(f"{place}: expected valid CSV, {error}; {REMEDY}") from None
