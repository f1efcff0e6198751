"""Evaluation of vectors that reuses earlier results on the same vector, answers and code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.predictivity import EvaluationOptions, evaluate_vectors
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.statistics.sign_flips import SignFlipTest, random_signs
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest

SEED = 0
"""Of the sign flips."""
CODE = code_and_libraries("analysis.predictivity", "statistics.sign_flips")
"""Everything that decides how a vector is evaluated."""


@dataclass(frozen=True)
class VectorEvaluation:
    """The evaluation of the vectors of one extraction set."""

    cells: pl.DataFrame
    """A row a vector and cell: see `evaluate_vectors`."""
    sign_flips: pl.DataFrame
    """`vector`, `permutation`, `maximum`: largest statistic of a vector under each sign flip."""
    n_new: int
    """Vectors that were not in the cache."""


def evaluate_vectors_cached(
    vectors: Mapping[str, np.ndarray],
    keys: Mapping[str, str],
    evaluation: EvaluationSet,
    n_permutations: int,
    memory_mb: int,
) -> VectorEvaluation:
    """Evaluates the vectors that are not in the cache, and reads the rest from it.

    `keys` identify the vectors' content; the same key must mean the same vector.
    """
    keys = {
        name: digest([evaluation.digest, key, str(n_permutations), *CODE])
        for name, key in keys.items()
    }
    new = {
        name: vectors[name]
        for name, key in keys.items()
        if not cache_path("sign_flips", key).exists()
    }
    if new:
        n_items = evaluation.labels["item"].n_unique()
        test = SignFlipTest(np.arange(n_items), random_signs(n_items, n_permutations, SEED))
        options = EvaluationOptions(SEED, evaluation.grader_error, memory_mb, test)
        cells = evaluate_vectors(new, evaluation.activations, evaluation.labels, options)
        for (name,), part in cells.group_by("vector", maintain_order=True):
            write_table(cache_path("cells", keys[str(name)]), part)
        for name in new:
            maxima = test.maxima.get(name, np.zeros(n_permutations))
            write_table(cache_path("sign_flips", keys[name]), pl.DataFrame({"maximum": maxima}))
    return VectorEvaluation(
        pl.concat(pl.read_parquet(cache_path("cells", key)) for key in keys.values()),
        pl.concat(
            pl.read_parquet(cache_path("sign_flips", key)).select(
                pl.lit(name).alias("vector"), pl.int_range(pl.len()).alias("permutation"), "maximum"
            )
            for name, key in keys.items()
        ),
        len(new),
    )
