"""Options of the hand tools: numbers that are read strictly, and a file to write to."""

from __future__ import annotations

from collections.abc import Mapping
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
    """Writes `values` to `file` as JSON, or nothing where `file` is empty.

    Raises InputError where the file cannot be written.
    """
    if not file:
        return
    if not file.endswith(".json") or Path(file).is_dir():
        raise InputError(f"--json {file}: expected a file that ends in .json")
    try:
        write_json(Path(file), dict(values))
    except OSError as error:
        raise InputError(f"--json {file}: not writable ({error.strerror})") from None


def write_scores(file: str, table: pl.DataFrame) -> None:
    """Writes `table` to `file` as CSV, or nothing where `file` is empty.

    Raises InputError where the file cannot be written.
    """
    if not file:
        return
    if not file.endswith(".csv") or Path(file).is_dir():
        raise InputError(f"--scores {file}: expected a file that ends in .csv")
    try:
        with atomic_write(Path(file)) as draft:
            table.write_csv(draft)
    except OSError as error:
        raise InputError(f"--scores {file}: not writable ({error.strerror})") from None
