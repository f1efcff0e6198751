"""The texts of prompts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

from sycophancy_steering.questions.prompt_table import iter_prompts


def prompt_texts(path: Path, ids: Collection[str]) -> pl.DataFrame:
    """`id` and `text` (all turns, one a line) of the prompts with these ids."""
    ids = {*ids}
    texts = [
        (row.id, "\n".join(turn.content for turn in row.messages))
        for row in iter_prompts(path)
        if row.id in ids
    ]
    return pl.DataFrame(texts, schema={"id": pl.String, "text": pl.String}, orient="row")
