"""Outputs that are whole or not there: written under another name, then put in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    import pyarrow.parquet as pq


AT_A_TIME = 4096
"""Rows of a part of a table."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or folder to, which takes its place if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    _remove(draft)
    try:
        yield draft
        _remove(path)
        draft.rename(path)
    finally:
        _remove(draft)


def write_json(path: Path, values: dict[str, object]) -> None:
    """Write `values` as readable JSON; a NaN is an error."""
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write `table` as Parquet."""
    with atomic_write(path) as draft:
        table.write_parquet(draft)


class TableParts:
    """A Parquet file that is written part by part; used with `with`."""

    def __init__(self, path: Path):
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, part: pl.DataFrame) -> None:
        """The next rows, of the columns of the first."""
        import pyarrow.parquet as pq

        for some in part.iter_slices(AT_A_TIME):
            rows = some.to_arrow()
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, rows.schema)
            self._writer.write_table(rows)

    def add_metadata(self, about: Mapping[bytes, str]) -> None:
        """What the file says of itself; some part has been written."""
        assert self._writer is not None
        self._writer.add_key_value_metadata(about)

    def __enter__(self) -> TableParts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
