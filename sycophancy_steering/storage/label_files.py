"""`data/labels/MODEL/SET.parquet`: who was asked what, and every way of labelling the answer."""

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

PROMPT_COLUMNS = ["id", "source", "family", "item", "persona", "matching", "form", "split", "cause"]
"""What is kept of a prompt."""
GRADER_ERROR_KEY = b"label_noise"


def grader_error_metadata(error: GraderError | None) -> dict[bytes, str]:
    """The metadata that says how often the `label`s of a file are known to be wrong."""
    return {GRADER_ERROR_KEY: json.dumps(asdict(error) if error else None)}


def read_labels(path: Path, ids: list[str], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """One row an answer: `columns` (`id` among them), or all. InputError for a file that is missing,
    unreadable, or not about `ids`."""
    if not path.exists():
        raise InputError(f"{path}: not found; run `dvc repro labels` or `dvc pull`")
    try:
        labels = pl.read_parquet(path, columns=list(columns) if columns else None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not readable ({str(error).splitlines()[0]})") from None
    if labels["id"].to_list() != ids:
        raise InputError(f"{path}: labels of other answers than the activations; run `dvc repro`")
    return labels


def read_grader_error(path: Path) -> GraderError | None:
    """How often the labels in a file are known to be wrong, where they are a judge's."""
    try:
        about = json.loads((pq.read_metadata(path).metadata or {}).get(GRADER_ERROR_KEY, b"null"))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable ({str(error).splitlines()[0]})") from None
    return GraderError(**about) if about else None
