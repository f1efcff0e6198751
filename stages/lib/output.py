"""Outputs that are whole or not there: written under another name, then put in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@contextmanager
def whole(path: Path) -> Iterator[Path]:
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
    with whole(path) as draft:
        draft.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write `table` as Parquet."""
    with whole(path) as draft:
        table.write_parquet(draft)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
