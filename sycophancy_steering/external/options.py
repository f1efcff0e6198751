"""Options of the hand tools: numbers that are read strictly, and a file to write to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.errors import InputError


def whole_number(text: str, option: str) -> int:
    """The number of an option. Raises InputError for anything but digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InputError(f"{option} {text!r}: expected a whole number from 0, such as 7")
    return int(text)


def write_numbers(file: str, values: Mapping[str, object]) -> None:
    """Writes `values` to `file` as JSON, or nothing where `file` is empty. Raises InputError."""
    with _written(file, "--json", ".json") as path:
        if path:
            write_json(path, dict(values))


def write_scores(file: str, table: pl.DataFrame) -> None:
    """Writes `table` to `file` as CSV, or nothing where `file` is empty. Raises InputError."""
    with _written(file, "--scores", ".csv") as path:
        if path:
            with atomic_write(path) as draft:
                table.write_csv(draft)


@contextmanager
def _written(file: str, option: str, suffix: str) -> Iterator[Path | None]:
    """The path to write to, None where the option is left out. Raises InputError where it is not
    such a file, or where writing fails."""
    if file and (not file.endswith(suffix) or Path(file).is_dir()):
        raise InputError(f"{option} {file}: expected a file that ends in {suffix}")
    try:
        yield Path(file) if file else None
    except OSError as error:
        raise InputError(f"{option} {file}: not writable ({error.strerror})") from None
