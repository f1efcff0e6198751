"""Evaluation of vectors that reuses earlier results on the same vector, answers and code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.predictivity import (
    EvaluationOptions,
    SignFlips,
    evaluate_vectors,
    random_direction_ranges,
)
from sycophancy_steering.analysis.readouts import READ_POSITIONS
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.statistics.sign_flips import SignFlipTest, random_signs
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest

SEED = 0
"""Of the sign flips."""
CODE = code_and_libraries("analysis.predictivity", "statistics.sign_flips")
"""Everything that decides how a vector is evaluated."""
RANGE_KEYS = ["layer", "position", "family", "source", "split"]


@dataclass(frozen=True)
class PredictivityOptions:
    """What `scoring` and `selection` of params.yaml say about the evaluation of vectors."""

    memory_mb: int
    max_layer_distance: int
    n_permutations: int


@dataclass(frozen=True)
class VectorEvaluation:
    """The evaluation of the vectors of one extraction set."""

    cells: pl.DataFrame
    """A row a vector and cell: see `evaluate_vectors`."""
    sign_flips: pl.DataFrame
    """`vector`, `permutation`, `maximum`, `rank_maximum`: largest statistics of a vector under each
    sign flip."""
    n_new: int
    """Vectors that were not in the cache."""


def evaluate_vectors_cached(
    vectors: Mapping[str, np.ndarray],
    keys: Mapping[str, str],
    evaluation: EvaluationSet,
    options: PredictivityOptions,
) -> VectorEvaluation:
    """Evaluates the vectors that are not in the cache, and reads the rest from it.

    `keys` identify the vectors' content; the same key must mean the same vector.
    """
    n_new = evaluate_missing(vectors, keys, evaluation, options)
    keys = _result_keys(keys, evaluation, options)
    cells = pl.concat(pl.read_parquet(cache_path("cells", key)) for key in keys.values())
    ranges = pl.concat(random_ranges_cached(evaluation, name) for name in READ_POSITIONS)
    return VectorEvaluation(
        cells.join(ranges, on=RANGE_KEYS, how="left", maintain_order="left"),
        pl.concat(
            pl.read_parquet(cache_path("sign_flips", key)).select(
                pl.lit(name).alias("vector"), pl.int_range(pl.len()).alias("permutation"), pl.all()
            )
            for name, key in keys.items()
        ),
        n_new,
    )


def evaluate_missing(
    vectors: Mapping[str, np.ndarray],
    keys: Mapping[str, str],
    evaluation: EvaluationSet,
    options: PredictivityOptions,
) -> int:
    """Writes the cells and sign flips of the vectors that are not in the cache to it; their number.

    `keys` as in `evaluate_vectors_cached`.
    """
    keys = _result_keys(keys, evaluation, options)
    new = {
        name: vectors[name]
        for name, key in keys.items()
        if not cache_path("sign_flips", key).exists()
    }
    if not new:
        return 0
    n_items = evaluation.labels["item"].n_unique()
    items, signs = np.arange(n_items), random_signs(n_items, options.n_permutations, SEED)
    tests = SignFlips(SignFlipTest(items, signs), SignFlipTest(items, signs))
    cells = evaluate_vectors(
        new,
        evaluation.activations,
        evaluation.labels,
        EvaluationOptions(
            SEED, evaluation.grader_error, options.memory_mb, options.max_layer_distance, tests
        ),
    )
    for (name,), part in cells.group_by("vector", maintain_order=True):
        write_table(cache_path("cells", keys[str(name)]), part)
    nothing = np.zeros(options.n_permutations)  # where no cell could be tested
    for name in new:
        maxima = {
            "maximum": tests.auroc.maxima.get(name, nothing),
            "rank_maximum": tests.rank.maxima.get(name, nothing),
        }
        write_table(cache_path("sign_flips", keys[name]), pl.DataFrame(maxima))
    return len(new)


def _result_keys(
    keys: Mapping[str, str], evaluation: EvaluationSet, options: PredictivityOptions
) -> dict[str, str]:
    """Under which the evaluation of each vector is cached."""
    settings = f"{options.n_permutations} {options.max_layer_distance}"
    return {name: digest([evaluation.digest, key, settings, *CODE]) for name, key in keys.items()}


def random_ranges_cached(evaluation: EvaluationSet, position: str) -> pl.DataFrame:
    """`random_direction_ranges` of an evaluation set, from the cache where they are there."""
    path = cache_path("random_ranges", digest([evaluation.digest, position, *CODE]))
    if not path.exists():
        origin = evaluation.origin
        ranges = random_direction_ranges(
            evaluation.activations,
            position,
            evaluation.cells,
            (origin.n_layers, origin.d_model),
            EvaluationOptions(SEED, evaluation.grader_error),
        )
        write_table(path, ranges)
    return pl.read_parquet(path)
