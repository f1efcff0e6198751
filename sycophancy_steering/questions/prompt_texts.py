"""The words of prompts, without the rest of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

from sycophancy_steering.questions.prompt_table import iter_prompts


def prompt_texts(path: Path, ids: Collection[str]) -> pl.DataFrame:
    """`id` and `text` of the prompts with these ids: what all turns say, a line a turn."""
    ids = {*ids}
    texts = [
        (row.id, "\n".join(turn.content for turn in row.messages))
        for row in iter_prompts(path)
        if row.id in ids
    ]
    return pl.DataFrame(texts, schema={"id": pl.String, "text": pl.String}, orient="row")
