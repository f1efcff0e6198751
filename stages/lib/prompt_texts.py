"""The words of prompts, without the rest of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def prompt_texts(path: Path) -> pl.DataFrame:
    """`id` and `text` of each prompt of a set: what all turns say, a line a turn."""
    said = pl.col("messages").list.eval(pl.element().struct.field("content")).list.join("\n")
    return pl.scan_parquet(path).select("id", said.alias("text")).collect()
