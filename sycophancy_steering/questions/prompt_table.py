"""`data/prompts/SET.parquet`: one row a question as it is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.config.prompt_set import Extract
from sycophancy_steering.questions.question import Row, Turn

EXTRACT_KEY = b"read"
"""The metadata key that says what of the model's doings is wanted: a `Extract`."""
BATCH_ROWS = 256
"""Rows in memory."""
ROW_GROUP_SIZE = 1024
"""Rows of a part of a file, of prompts and of the responses to them."""
TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("family", pa.string()),
        ("item", pa.string()),
        ("persona", pa.string()),
        ("messages", TURNS),
        ("choices", pa.list_(pa.struct([("letter", pa.string()), ("text", pa.string())]))),
        ("matching", pa.string()),
        ("not_matching", pa.list_(pa.string())),
        ("answers", pa.list_(pa.string())),
        ("form", pa.string()),
        ("split", pa.string()),
        ("cause", pa.float64()),
        ("without_user", TURNS),
        ("true_answers", pa.list_(pa.string())),
        ("false_answers", pa.list_(pa.string())),
    ]
)


def write_prompts(path: Path, rows: Sequence[Row], extract: Extract = "everything") -> None:
    """Write `rows` in their order."""
    records = [
        {field.name: getattr(row, field.name) for field in fields(row)}
        | {
            "messages": [asdict(turn) for turn in row.messages],
            "without_user": [asdict(turn) for turn in row.without_user],
            "choices": [{"letter": letter, "text": text} for letter, text in row.choices],
        }
        for row in rows
    ]
    schema = SCHEMA.with_metadata({EXTRACT_KEY: extract})
    pq.write_table(pa.Table.from_pylist(records, schema=schema), path, row_group_size=ROW_GROUP_SIZE)


def read_extract(path: Path) -> Extract:
    """What of the model's doings is wanted of a prompt set, whose rows can be read."""
    said = (pq.read_schema(path).metadata or {}).get(EXTRACT_KEY, b"everything").decode()
    if said not in (known := get_args(Extract)):
        raise InputError(f"{path}: to read: expected one of {', '.join(known)}, found {said!r}")
    return said  # type: ignore[return-value]


def read_prompts(path: Path) -> list[Row]:
    """The rows of a prompt set. InputError for a missing or unreadable file, or one without rows."""
    return list(iter_prompts(path))


def iter_prompts(path: Path, indices: Collection[int] | None = None) -> Iterator[Row]:
    """The rows of a prompt set, one after another, or those at the places `wanted`; in memory are a
    few hundred at a time. InputError as `read_prompts`."""
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro prompts` or `dvc pull`") from None
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    if missing := [name for name in SCHEMA.names if name not in file.schema_arrow.names]:
        raise InputError(f"{path}: no column {missing[0]!r}; expected {', '.join(SCHEMA.names)}")
    if file.metadata.num_rows == 0:
        raise InputError(f"{path}: an empty prompt set; expected at least one question")
    start = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS, columns=SCHEMA.names, use_threads=False):
            here = range(start, start + len(batch))
            start = here.stop
            if indices is not None:
                places = [n - here.start for n in here if n in indices]
                batch = batch.take(pa.array(places, pa.int64()))
            for record in batch.to_pylist():
                yield _row(record)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0]
    return InputError(f"{path}: not a readable prompt set ({reason})")


def _row(record: dict[str, Any]) -> Row:
    return Row(
        **record
        | {
            "messages": tuple(Turn(**turn) for turn in record["messages"]),
            "without_user": tuple(Turn(**turn) for turn in record["without_user"]),
            "choices": tuple((c["letter"], c["text"]) for c in record["choices"]),
            "not_matching": tuple(record["not_matching"]),
            "answers": tuple(record["answers"]),
            "true_answers": tuple(record["true_answers"]),
            "false_answers": tuple(record["false_answers"]),
        }
    )
