"""Files and folders that are written completely or not at all.

They are written under another name beside the target, then renamed to it. At every moment the old
or the new version exists in full, whenever the process is killed. Several processes may write the
same file at once: the last one stays. A folder is written by one at a time.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    import pyarrow.parquet as pq


ROW_GROUP_SIZE = 4096
"""Most rows of a row group, which readers hold in memory at once."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path to write a file or folder to; it replaces `path` once the block ends without error.

    After an error, or a kill, `path` is what it was. The missing parent folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean_up(path)
    draft = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.partial")
    _remove(draft)  # of a killed process that had the same number
    try:
        yield draft
        _replace(path, draft)
    finally:
        _remove(draft)


def write_json(path: Path, values: dict[str, object]) -> None:
    """Writes `values` as readable JSON. Raises ValueError for NaN and infinity."""
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Writes `table` as Parquet."""
    with atomic_write(path) as draft:
        table.write_parquet(draft)


class TableWriter:
    """A Parquet file that is written part by part, so that the table need not fit in memory.

    To be used with `with`; no file is created before the first part.
    """

    def __init__(self, path: Path):
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, part: pl.DataFrame) -> None:
        """Appends rows, which have the columns of the first part."""
        import pyarrow.parquet as pq

        for rows in part.iter_slices(ROW_GROUP_SIZE):
            row_group = rows.to_arrow()
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, row_group.schema)
            self._writer.write_table(row_group)

    def add_metadata(self, metadata: Mapping[bytes, str]) -> None:
        """Adds key-value metadata to the file; at least one part was written."""
        assert self._writer is not None
        self._writer.add_key_value_metadata(metadata)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


def _replaced(path: Path) -> Path:
    """Where a folder lies while another takes its place."""
    return path.with_name(f".{path.name}.replaced.partial")


def _clean_up(path: Path) -> None:
    """Removes what killed processes left; a folder that one had moved aside comes back."""
    start = f".{path.name}.{platform.node()}-"
    for name in os.listdir(path.parent):
        number = name.removeprefix(start).removesuffix(".partial")
        if name.startswith(start) and number.isdecimal() and not _is_running(int(number)):
            _remove(path.with_name(name))
    replaced = _replaced(path)
    if _exists(replaced) and not _exists(path):
        replaced.rename(path)
    _remove(replaced)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _replace(path: Path, draft: Path) -> None:
    """Renames `draft` to `path`. A folder cannot be renamed over another, so the old one is moved
    aside first, and back if the second rename fails."""
    if not path.is_dir() and not draft.is_dir():
        os.replace(draft, path)
        return
    replaced = _replaced(path)
    if _exists(path):
        path.rename(replaced)
    try:
        draft.rename(path)
    except BaseException:
        if _exists(replaced):
            replaced.rename(path)
        raise
    _remove(replaced)


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
