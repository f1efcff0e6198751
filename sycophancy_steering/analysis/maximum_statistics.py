"""The largest statistic of all vectors of a model under each random sign flip of the items."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.schemas.predictivity import SIGN_FLIPS


def largest_statistics(model: str, extraction_sets: Sequence[str], column: str) -> Floats:
    """(n_permutations,) over all vectors that are no null models.

    `column` of SIGN_FLIPS: `maximum` of AUROCs, or `rank_maximum` of rank correlations.
    """
    tables = [
        SIGN_FLIPS.read(["permutation", column, "null"], model=model, prompt_set=name)
        for name in extraction_sets
    ]
    real = pl.concat(tables).filter(~pl.col("null"))
    largest = real.group_by("permutation", maintain_order=True).agg(pl.col(column).max())
    return largest[column].to_numpy()
