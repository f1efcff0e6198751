"""A table that one stage writes and others read: its path, its columns and their types."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sycophancy_steering.foundation.atomic_files import TableWriter, atomic_write
from sycophancy_steering.foundation.errors import InputError

DECIMALS = 5
"""Of the numbers in CSV tables."""
Columns = Mapping[str, pl.DataType | type[pl.DataType]]


def estimate(name: str) -> dict[str, type[pl.DataType]]:
    """The three columns of an estimate with its 95% interval: NAME, NAME_low, NAME_high."""
    return {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64}


@dataclass(frozen=True)
class Table:
    """The contract of a CSV or Parquet table; checked when it is written and when it is read."""

    pattern: str
    """Its path, with the names that vary: `reports/cells/{model}/{prompt_set}.parquet`."""
    columns: Columns
    stage: str
    """The DVC stage that writes it, named where the file is missing."""

    def path(self, **names: str) -> Path:
        """Where the table of these names lies, relative to the top of the repository."""
        wanted = {field for _, field, _, _ in string.Formatter().parse(self.pattern) if field}
        assert wanted == names.keys(), f"{self.pattern}: expected {wanted}, got {set(names)}"
        return Path(self.pattern.format(**names))

    def empty(self) -> pl.DataFrame:
        """The table without a row."""
        return pl.DataFrame(schema=dict(self.columns))

    def write(self, table: pl.DataFrame, **names: str) -> None:
        """Writes `table` atomically, its columns in the contract's order.

        Raises ValueError (a fault of this program) where columns or types differ.
        """
        path = self.path(**names)
        checked = self.checked(table, path)
        with atomic_write(path) as draft:
            if path.suffix == ".csv":
                checked.write_csv(draft, float_precision=DECIMALS)
            else:
                checked.write_parquet(draft)

    def write_parts(self, parts: Iterable[pl.DataFrame], **names: str) -> None:
        """Writes a Parquet table part by part, so that it need not fit in memory.

        Raises ValueError (a fault of this program) where columns or types differ.
        """
        path = self.path(**names)
        with atomic_write(path) as draft, TableWriter(draft) as writer:
            for part in parts:
                writer.write(self.checked(part, path))

    def scan(self, **names: str) -> pl.LazyFrame:
        """The Parquet table, of which only what is collected is read.

        Raises InputError for a file that is missing.
        """
        path = self.path(**names)
        if not path.exists():
            raise InputError(f"{path}: not found; run `dvc repro {self.stage}` or `dvc pull`")
        return pl.scan_parquet(path)

    def read(self, columns: Sequence[str] | None = None, **names: str) -> pl.DataFrame:
        """The table, or these of its columns.

        Raises InputError for a file that is missing, unreadable, or not of this contract.
        """
        path = self.path(**names)
        wanted = {name: self.columns[name] for name in columns or self.columns}
        try:
            if path.suffix == ".csv":
                table = pl.read_csv(path, columns=list(wanted), schema_overrides=dict(wanted))
            else:
                table = pl.read_parquet(path, columns=list(wanted))
        except FileNotFoundError:
            raise InputError(
                f"{path}: not found; run `dvc repro {self.stage}` or `dvc pull`"
            ) from None
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{path}: not readable as written by `dvc repro {self.stage}` ({reason})"
            ) from None
        if wrong := {name for name in wanted if table.schema[name] != wanted[name]}:
            name = sorted(wrong)[0]
            raise InputError(
                f"{path}: column {name}: expected {wanted[name]}, found {table.schema[name]}; "
                f"run `dvc repro {self.stage}`"
            )
        return table.select(list(wanted))

    def checked(self, table: pl.DataFrame, path: Path) -> pl.DataFrame:
        """`table` in the contract's column order; ValueError where it does not fit."""
        if missing := self.columns.keys() - set(table.columns):
            raise ValueError(f"{path}: columns missing: {', '.join(sorted(missing))}")
        if unknown := set(table.columns) - self.columns.keys():
            raise ValueError(f"{path}: columns not in the contract: {', '.join(sorted(unknown))}")
        for name, dtype in self.columns.items():
            if table.schema[name] != dtype:
                raise ValueError(f"{path}: {name} is {table.schema[name]}, expected {dtype}")
        return table.select(list(self.columns))
