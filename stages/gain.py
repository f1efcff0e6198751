"""Measures what the headline vector's projection adds to the prompt's words and the logit margin.

    python stages/gain.py one_cause

Reads the prompts and labels of the `evaluation_set` and reports/scores/MODEL; writes
reports/gain/MODEL.csv: AUROC on `test` of models fitted on `select`, for each family and for all
families together, from the words, the margin, the projection after the prompt, and together. Of
each family and split at most 1,024 answers, drawn at random.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.analysis.incremental_validity import incremental_validity
from sycophancy_steering.config.reading import read_name
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.prompt_texts import prompt_texts
from sycophancy_steering.statistics.text_baseline import subsample_answers
from sycophancy_steering.storage.cell_files import SCORES


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    on, headline = read_name("evaluation_set"), read_name("headline")
    prompt_set, _, variant = headline.partition("/")
    margins = pl.read_parquet(f"data/labels/{model}/{on}.parquet", columns=["id", "margin"])
    wanted = (pl.col("name") == variant) & (pl.col("position") == "prompt")
    scores = pl.scan_parquet(SCORES / model / f"{prompt_set}.parquet").filter(wanted).collect()
    if not len(scores):
        raise InputError(f"params.yaml: headline: no vector {headline} of {model}")
    scores = subsample_answers(scores)
    texts = prompt_texts(Path(f"data/prompts/{on}.parquet"), scores["id"])
    answers = scores.join(texts, on="id", how="left", maintain_order="left").join(
        margins, on="id", how="left", maintain_order="left"
    )
    found = incremental_validity(answers)
    with atomic_write(Path(f"reports/gain/{model}.csv")) as draft:
        found.write_csv(draft, float_precision=5)
    print(f"{model}: what {headline} adds to the words and to the margin, {len(found)} models")


if __name__ == "__main__":
    main()
