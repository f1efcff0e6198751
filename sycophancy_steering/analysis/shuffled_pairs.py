"""A null model: mean differences of contrast pairs whose answers are swapped at random."""

from __future__ import annotations

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.analysis.readouts import cell_aurocs
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS
from sycophancy_steering.storage.cell_files import POSITIONS
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest
from sycophancy_steering.vectors.labelled_activations import LabelledActivations

SEED = 1_000
VECTORS_AT_ONCE = 128
CODE = code_and_libraries("analysis.readouts", "analysis.shuffled_pairs")
"""Everything that decides the results, for the keys of the cache."""
CONTRAST_PAIRS = Variant("mean_difference", "answer")
RESPONSES_TO_ITEMS = Variant("mean_difference", "continuation_mean", compared="within_items")


def pair_differences(answers: LabelledActivations, layer: int) -> ArrayStream:
    """(n, d_model) of contrast pairs or, where chats have no options, of the two kinds of response
    to each item."""
    variant = CONTRAST_PAIRS if answers.has_options else RESPONSES_TO_ITEMS
    return answers.contrast(variant, layer).differences


def shuffled_differences(differences: ArrayStream, count: int) -> Floats:
    """(count, d_model): mean differences of pairs (n, d_model), the sign of each pair at random.

    The signs are the same in every layer: the two answers of a pair are swapped as a whole.
    """
    rng = np.random.default_rng(SEED)
    vectors = []
    for start in range(0, count, VECTORS_AT_ONCE):
        size = min(VECTORS_AT_ONCE, count - start)
        signs = rng.integers(0, 2, (size, len(differences)), np.int8) * 2 - 1
        vectors.append(differences.weighted_sums(signs) / len(differences))
    return np.concatenate(vectors)


def shuffled_pairs_tables(
    study: ModelStudy, n_shuffles: int, n_vectors: int
) -> dict[str, pl.DataFrame]:
    """The table `SHUFFLED_PAIRS` by extraction set: `n_shuffles` times `n_vectors` vectors each.

    A set that was evaluated before, on the same answers, comes from the cache.
    """
    tables = {}
    for name in study.suite.extraction_sets:
        labels = LABELS / study.model / f"{name}.parquet"
        parts = [study.evaluation.digest, ACTIVATIONS / study.model / name, labels]
        path = cache_path("shuffled_pairs", digest([*parts, *CODE, f"{n_shuffles} {n_vectors}"]))
        if not path.exists():
            aurocs = _shuffled_pairs_aurocs(
                study.extractions[name], study.evaluation, n_shuffles, n_vectors
            )
            write_table(path, aurocs)
        tables[name] = pl.read_parquet(path)
    return tables


def _shuffled_pairs_aurocs(
    answers: LabelledActivations, evaluation: EvaluationSet, n_shuffles: int, n_vectors: int
) -> pl.DataFrame:
    """A row a layer, position, cell, shuffle and replicate."""
    cells = evaluation.pooled_cells
    index = pl.DataFrame(
        {
            "shuffle": np.repeat(np.arange(n_shuffles), n_vectors),
            "replicate": np.tile(np.arange(n_vectors), n_shuffles),
        }
    )
    tables = []
    layers = range(evaluation.origin.n_layers)
    for layer in tqdm(layers, unit="layer", disable=None, desc=answers.folder.name):
        vectors = shuffled_differences(pair_differences(answers, layer), n_shuffles * n_vectors)
        for position in POSITIONS:
            aurocs = cell_aurocs(vectors, evaluation.activations(layer, position), cells)
            tables += [
                index.with_columns(
                    pl.Series("auroc", values),
                    pl.lit(layer).alias("layer"),
                    pl.lit(position).alias("position"),
                    pl.lit(cell.family).alias("family"),
                    pl.lit(cell.split).alias("split"),
                )
                for cell, values in zip(cells, aurocs, strict=True)
            ]
    return pl.concat(tables)
