"""Writes the responses and the reference log-probabilities of an extraction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.schemas.activations import (
    REFERENCE_COLUMNS,
    REFERENCE_LOGPROBS,
    REFERENCE_SCHEMA,
    RESPONSES,
    RESPONSES_SCHEMA,
)


def write_reference_logprobs(folder: Path, logprobs: Mapping[str, Sequence[float]]) -> None:
    """Writes reference log-probabilities by chat key to `folder`."""
    keys = sorted(logprobs)
    columns = {"key": keys, "logprobs": [logprobs[key] for key in keys]}
    pq.write_table(pa.table(columns, schema=REFERENCE_SCHEMA), folder / REFERENCE_LOGPROBS)


def write_responses(
    folder: Path,
    tables: Iterable[pa.Table],
    references: Iterator[Mapping[str, list[float] | None]],
) -> int:
    """Writes all responses with the reference log-probabilities of each row to `folder`, a row
    group a table; how many questions have an answer."""
    answered = 0
    with pq.ParquetWriter(folder / RESPONSES, RESPONSES_SCHEMA) as writer:
        for responses in tables:
            answered += len(responses) - responses["answer"].null_count
            rows = [next(references) for _ in range(len(responses))]
            for name in REFERENCE_COLUMNS:
                column = pa.array([row[name] for row in rows], pa.list_(pa.float64()))
                responses = responses.append_column(name, column)
            writer.write_table(responses)
    return answered
