"""The words of prompts, without the rest of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

from sycophancy_steering.questions.prompt_table import each_prompt


def prompt_texts(path: Path, wanted: Collection[str]) -> pl.DataFrame:
    """`id` and `text` of the prompts with these ids: what all turns say, a line a turn."""
    wanted = {*wanted}
    texts = [
        (row.id, "\n".join(turn.content for turn in row.messages))
        for row in each_prompt(path)
        if row.id in wanted
    ]
    return pl.DataFrame(texts, schema={"id": pl.String, "text": pl.String}, orient="row")
