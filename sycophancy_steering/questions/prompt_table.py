"""Writes and reads prompt sets: one row a question as it is asked (schemas/prompts.py)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.config.prompt_set import Extract, Order, PromptSetSettings
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Row, Turn
from sycophancy_steering.schemas.prompts import EXTRACT_KEY, KEEP_KEY, PROMPTS_SCHEMA

CHATS = ("messages", "without_user", "opposite_user", "neutral_turn")
"""Columns with turns of a chat."""
BATCH_ROWS = 256
"""Rows of a prompt set that are in memory at once."""
ROW_GROUP_SIZE = 1024
"""Rows of a row group, in prompt sets and in the responses to them."""


@dataclass(frozen=True)
class KeptStatistics:
    """Which statistics of activations are kept instead of them."""

    moments: Order
    grouped_by: list[str]
    """Sources of labels by which answers are grouped."""

    @classmethod
    def of_settings(cls, settings: PromptSetSettings) -> KeptStatistics | None:
        """None where activations are kept."""
        if settings.keep == "activations":
            return None
        return cls(settings.moments, [*settings.grouped_by])


def write_prompts(
    path: Path,
    rows: Sequence[Row],
    extract: Extract = "everything",
    statistics: KeptStatistics | None = None,
) -> None:
    """Writes `rows` in their order."""
    records = [
        {field.name: getattr(row, field.name) for field in fields(row)}
        | {name: [asdict(turn) for turn in getattr(row, name)] for name in CHATS}
        | {
            "choices": [{"letter": letter, "text": text} for letter, text in row.choices],
        }
        for row in rows
    ]
    metadata: dict[bytes | str, bytes | str] = {EXTRACT_KEY: extract}
    if statistics:
        metadata[KEEP_KEY] = json.dumps(asdict(statistics))
    schema = PROMPTS_SCHEMA.with_metadata(metadata)
    pq.write_table(
        pa.Table.from_pylist(records, schema=schema), path, row_group_size=ROW_GROUP_SIZE
    )


def read_extract(path: Path) -> Extract:
    """What is extracted for a prompt set, as `write_prompts` wrote it. Raises InputError."""
    extract = (pq.read_schema(path).metadata or {}).get(EXTRACT_KEY, b"everything").decode()
    if extract not in (known := get_args(Extract)):
        raise InputError(
            f"{path}: metadata `extract`: expected one of {', '.join(known)}, found {extract!r}"
        )
    return extract  # type: ignore[return-value]


def read_kept_statistics(path: Path) -> KeptStatistics | None:
    """The statistics that are kept of a prompt set's activations; None where these are kept."""
    stored = (pq.read_schema(path).metadata or {}).get(KEEP_KEY)
    return KeptStatistics(**json.loads(stored)) if stored else None


def read_prompts(path: Path) -> list[Row]:
    """The rows of a prompt set. Raises InputError for a missing, unreadable or empty file."""
    return list(iter_prompts(path))


def iter_prompts(path: Path, indices: Collection[int] | None = None) -> Iterator[Row]:
    """The rows of a prompt set, or those at `indices`, a few hundred of them in memory at once.

    Raises InputError as `read_prompts`.
    """
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro prompts` or `dvc pull`") from None
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    if missing := [name for name in PROMPTS_SCHEMA.names if name not in file.schema_arrow.names]:
        raise InputError(
            f"{path}: no column {missing[0]!r}; expected {', '.join(PROMPTS_SCHEMA.names)}"
        )
    if file.metadata.num_rows == 0:
        raise InputError(f"{path}: an empty prompt set; expected at least one question")
    start = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS, columns=PROMPTS_SCHEMA.names, use_threads=False):
            stop = start + len(batch)
            if indices is not None:
                selected = [n - start for n in range(start, stop) if n in indices]
                batch = batch.take(pa.array(selected, pa.int64()))
            start = stop
            for record in batch.to_pylist():
                yield _row(record)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0]
    return InputError(f"{path}: not a readable prompt set ({reason})")


def _row(record: dict[str, Any]) -> Row:
    fields: dict[str, Any] = (
        record
        | {name: tuple(Turn(**turn) for turn in record[name]) for name in CHATS}
        | {
            "choices": tuple((c["letter"], c["text"]) for c in record["choices"]),
            "not_matching": tuple(record["not_matching"]),
            "answers": tuple(record["answers"]),
            "true_answers": tuple(record["true_answers"]),
            "false_answers": tuple(record["false_answers"]),
        }
    )
    return Row(**fields)
