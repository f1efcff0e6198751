"""Rows of Parquet and Arrow files, and of folders that Hugging Face `datasets` has saved.

A few thousand rows are in memory at once, and nothing in these files is code that would run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.records import Record, shortened

BATCH_ROWS = 2048
STATE, SPLITS = "state.json", "dataset_dict.json"
"""What `save_to_disk` writes beside the rows of a dataset, and beside the folders of its splits."""


def parquet_rows(path: Path) -> Iterator[Record]:
    """One record a row of a Parquet file. Raises InputError where it is not readable."""
    return _rows(path, lambda: pq.ParquetFile(path).iter_batches(BATCH_ROWS, use_threads=False))


def arrow_rows(path: Path) -> Iterator[Record]:
    """One record a row of an Arrow file, as a stream or with an index at its end."""
    return _rows(path, lambda: _arrow_batches(path))


def dataset_rows(folder: Path) -> Iterator[Record]:
    """The rows of a folder that `save_to_disk` wrote. Raises InputError for another folder, and
    for one with several splits."""
    if (folder / SPLITS).is_file():
        names = _listed(folder / SPLITS, "splits")
        splits = ", ".join(f"{folder}/{name}" for name in names)
        raise InputError(f"{folder}: expected one split: {splits}")
    if not (folder / STATE).is_file():
        raise InputError(f"{folder}: expected a file, or a folder of `datasets` with a {STATE}")
    for file in _listed(folder / STATE, "_data_files"):
        yield from arrow_rows(folder / file)


def _listed(path: Path, key: str) -> list[str]:
    """The names in a list of a JSON file of `datasets`; each is inside its folder."""
    try:
        values = json.loads(path.read_bytes())[key]
        names = [value["filename"] if isinstance(value, dict) else value for value in values]
        if names and all(isinstance(n, str) and Path(n).name == n for n in names):
            return names
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InputError(f"{path}: expected names of files under {key!r}; save the dataset again")


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as file:
        try:
            batches = iter(pa.ipc.open_stream(file))
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(file)
            batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
        for batch in batches:
            for start in range(0, len(batch), BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def _rows(path: Path, batches: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[Record]:
    number = 0
    try:
        for batch in batches():
            batch.validate(full=True)
            for fields in batch.to_pylist():
                number += 1
                yield Record(path, f"{path}, row {number}", fields)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; save the dataset again") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError, ImportError) as error:
        reason = shortened((str(error).splitlines() or [""])[0], 120)
        raise InputError(
            f"{path}: not readable after row {number} ({reason}); fetch it again"
        ) from None
