"""Vectors measured on the answers of a model, each of them once: the rest is in `.work`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from sycophancy_steering.analysis.predictivity import predictivity
from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics.sign_flips import Flips, dealt_signs
from sycophancy_steering.storage.result_cache import code, digest, place

SEED = 0
CODE = code("analysis.predictivity", "statistics.sign_flips", "foundation.array_stream")
"""Where it stands how a vector is measured."""


def measured(
    vectors: Mapping[str, np.ndarray],
    keys: Mapping[str, str],
    read_layer: Callable[[int, str], Stream],
    responses: pl.DataFrame,
    noise: GraderError | None,
    deals: int,
    memory_mb: int,
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Every cell of every vector; the largest statistic of each vector in each deal of the items'
    signs (`name`, `deal`, `largest`); and how many vectors were measured anew.

    `keys` name what a vector and its answers are: the same key, the same result.
    """
    keys = {name: digest([key, str(deals), *CODE]) for name, key in keys.items()}
    new = {name: vectors[name] for name, key in keys.items() if not place("flips", key).exists()}
    if new:
        items = responses["item"].n_unique()
        flips = Flips(np.arange(items), dealt_signs(items, deals, SEED))
        table = predictivity(new, read_layer, responses, SEED, noise, memory_mb, flips)
        for name, part in table.group_by("name", maintain_order=True):
            write_table(place("cells", keys[str(name[0])]), part)
        for name in new:
            largest = flips.largest.get(name, np.zeros(deals))
            write_table(place("flips", keys[name]), pl.DataFrame({"largest": largest}))
    return (
        pl.concat(pl.read_parquet(place("cells", key)) for key in keys.values()),
        pl.concat(
            pl.read_parquet(place("flips", key)).select(
                pl.lit(name).alias("name"), pl.int_range(pl.len()).alias("deal"), "largest"
            )
            for name, key in keys.items()
        ),
        len(new),
    )
