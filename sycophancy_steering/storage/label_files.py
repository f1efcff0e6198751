"""Reads labels of answers, data/labels/MODEL/SET.parquet, and the error rate of their judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

GRADER_ERROR_KEY = b"grader_error"


def grader_error_metadata(error: GraderError | None) -> dict[bytes, str]:
    """Metadata of a label file: how often its `label` is known to be wrong, if it is."""
    return {GRADER_ERROR_KEY: json.dumps(asdict(error) if error else None)}


def read_labels(path: Path, ids: list[str], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """One row an answer: `columns` (`id` among them), or all.

    Raises InputError for a file that is missing, unreadable, or about other answers than `ids`.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; run `dvc repro labels` or `dvc pull`")
    try:
        labels = pl.read_parquet(path, columns=list(columns) if columns else None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not readable ({str(error).splitlines()[0]})") from None
    if labels["id"].to_list() != ids:
        raise InputError(
            f"{path}: labels of other answers than the activations; run `dvc repro labels`"
        )
    return labels


def not_sycophantic(behaviour: pl.DataFrame) -> set[str]:
    """The families of the table BEHAVIOUR in which the user's words do not move the model: there is
    nothing to predict or to cause."""
    pooled = behaviour.filter(pl.col("source") == EVERY_SOURCE)
    return {*pooled.filter(pl.col("sycophantic").not_())["family"]}


def read_grader_error(path: Path) -> GraderError | None:
    """How often the labels of a file are wrong, if they are a judge's and some have hand grades."""
    try:
        values = json.loads((pq.read_metadata(path).metadata or {}).get(GRADER_ERROR_KEY, b"null"))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable ({str(error).splitlines()[0]})") from None
    return GraderError(**values) if values else None
