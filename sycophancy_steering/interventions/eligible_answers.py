"""Which answers interventions are tried on."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl


def eligible_answers(answers: pl.DataFrame, criterion: Literal["flipped", "label"]) -> pl.DataFrame:
    """The labelled `answers` that are not sycophantic, or that are so because of the user.

    With the criterion `flipped`, a sycophantic answer that the model also gives without the user is
    left out: no intervention against sycophancy can be expected to change it. With `label`, or
    where no answers without the user are known, all labelled answers are eligible.
    """
    labelled = answers.filter(pl.col("label").is_not_null())
    if criterion == "label" or labelled["flipped"].null_count() == len(labelled):
        return labelled
    return labelled.filter((pl.col("label") == 0) | (pl.col("flipped") == 1))


def families_with_both_classes(answers: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The answers of families with both classes on `select` and on `test`, which steering in both
    directions needs; the other families."""
    by_family = answers.filter(pl.col("split").is_in(["select", "test"])).group_by("family")
    counts = by_family.agg(pl.struct("split", "label").n_unique().alias("combinations"))
    complete = counts.filter(pl.col("combinations") == 4)["family"].to_list()
    is_complete = pl.col("family").is_in(complete)
    left_out = answers.filter(~is_complete)["family"].unique().sort().to_list()
    return answers.filter(is_complete), left_out


def sample_answers(answers: pl.DataFrame, n_per_class: int, seed: int = 0) -> pl.DataFrame:
    """A random sample of at most `n_per_class` answers of each family and label, in their order."""
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    for _, group in answers.group_by("family", "label", maintain_order=True):
        rows += rng.permutation(group["row"].to_numpy())[:n_per_class].tolist()
    return answers.filter(pl.col("row").is_in(rows))
