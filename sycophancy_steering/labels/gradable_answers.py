"""A model's answers as graders see them: question, possible answers, response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.grades import grade_id
from sycophancy_steering.schemas.activations import RESPONSES

BATCH_ROWS = 256
"""Answers that are in memory at once."""


def iter_answers(model: str, prompt_set: str) -> Iterator[pl.DataFrame]:
    """Batches of prompts joined with the responses to them, in their order.

    Raises InputError where a file is missing, or the responses are to other prompts.
    """
    prompts = Path(f"data/prompts/{prompt_set}.parquet")
    responses = Path(f"data/activations/{model}/{prompt_set}/{RESPONSES}")
    for path in (responses, prompts):
        if not path.exists():
            raise InputError(f"{path}: not found; run `dvc repro` or `dvc pull`")
    for asked, answered in zip_longest(_parts(prompts), _parts(responses)):
        if asked is None or answered is None or not asked["id"].equals(answered["id"]):
            raise InputError(
                f"{responses}: answers to other prompts than {prompts}; run `dvc repro`"
            )
        yield pl.concat([asked, answered.drop("id")], how="horizontal")


def _parts(path: Path) -> Iterator[pl.DataFrame]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, use_threads=False):
            rows = pl.from_arrow(batch)
            assert isinstance(rows, pl.DataFrame)
            yield rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable ({str(error).splitlines()[0]})") from None


def gradable_answers(model: str, prompt_set: str) -> list[dict[str, str]]:
    """Rows of a grading sheet (`COLUMNS` in grades.py), one an answer, without grades."""
    rows = []
    answered = (part.iter_rows(named=True) for part in iter_answers(model, prompt_set))
    for row in chain.from_iterable(answered):
        if not row["choices"] and not row["rubric"]:
            continue  # a chat with neither has nothing to be graded by
        texts = {choice["letter"]: choice["text"] for choice in row["choices"]}
        shown = "({letter}) {text}" if row["form"] == "letters" else "{text}"
        texts = {k: shown.format(letter=k, text=text) for k, text in texts.items()}
        rows.append(
            {
                "id": grade_id(row["id"], row["continuation"]),
                "question": "\n".join(_shown(turn, row["own_answer"]) for turn in row["messages"]),
                "sycophantic_answer": texts.get(row["matching"], ""),
                "other_answers": " | ".join(texts[letter] for letter in row["not_matching"]),
                "rubric": row["rubric"],
                "answer": row["continuation"],
                "grade": "",
            }
        )
    return rows


def _shown(turn: Mapping[str, Any], own_answer: str | None) -> str:
    """A turn in a line, with what the model itself said there."""
    return f"{turn['role']}: {own_answer if turn['own'] else turn['content']}"
