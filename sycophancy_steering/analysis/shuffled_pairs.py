"""A null model: mean differences of contrast pairs whose answers are swapped at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.analysis.readouts import cell_aurocs
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS
from sycophancy_steering.schemas.predictivity import SHUFFLED_PAIRS
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

    A set that was evaluated before, on the same answers, comes from the cache. The table of a set
    of whose activations statistics are kept is empty.
    """
    tables = dict.fromkeys(study.sets_with_statistics, SHUFFLED_PAIRS.empty())
    for name in study.extractions:
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

    def vectors(layer: int) -> Floats:
        return shuffled_differences(pair_differences(answers, layer), n_shuffles * n_vectors)

    layers = range(evaluation.origin.n_layers)
    return select_in_each_shuffle(
        vectors,
        evaluation.activations,
        evaluation.pooled_cells,
        tqdm(layers, unit="layer", disable=None, desc=answers.folder.name),
        n_shuffles,
    )


def select_in_each_shuffle(
    vectors: Callable[[int], Floats],
    activations: Callable[[int, str], ArrayStream],
    cells: Sequence[Cell],
    layers: Iterable[int],
    n_shuffles: int,
) -> pl.DataFrame:
    """The table SHUFFLED_PAIRS: for each shuffle, family and position the vector and layer with the
    highest AUROC on `select`.

    `vectors(layer)` (n_shuffles * n_vectors, d_model), those of one shuffle one after the other.
    Only what was the best so far is read on `test`: a tenth of the vectors. Families with one class
    of answers in either split have no rows.
    """
    select, test = (
        {cell.family: cell for cell in cells if cell.split == split and cell.both_classes}
        for split in ("select", "test")
    )
    families = [family for family in select if family in test]
    shape = (len(POSITIONS), len(families), n_shuffles)
    best, on_test = np.full(shape, -np.inf), np.full(shape, np.nan)
    best_layer, best_replicate = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    for layer in layers if families else ():
        candidates = vectors(layer)
        starts = np.arange(n_shuffles) * (len(candidates) // n_shuffles)
        for place, position in enumerate(POSITIONS):
            stream = activations(layer, position)
            aurocs = np.stack(cell_aurocs(candidates, stream, [select[name] for name in families]))
            by_shuffle = aurocs.reshape(len(families), n_shuffles, -1)
            highest, replicate = by_shuffle.max(-1), by_shuffle.argmax(-1)
            better = highest > best[place]
            rows = (starts + replicate)[better]
            if not len(rows):
                continue
            best[place][better], best_layer[place][better] = highest[better], layer
            best_replicate[place][better] = replicate[better]
            chosen, where = np.unique(rows, return_inverse=True)
            of_chosen = cell_aurocs(candidates[chosen], stream, [test[name] for name in families])
            on_test[place][better] = np.stack(of_chosen)[np.nonzero(better)[0], where]
    return (
        pl.concat(
            pl.DataFrame(
                {
                    "shuffle": np.arange(n_shuffles),
                    "replicate": best_replicate[place, number],
                    "layer": best_layer[place, number].astype(np.int32),
                    "select_auroc": best[place, number],
                    "auroc": on_test[place, number],
                }
            ).with_columns(pl.lit(position).alias("position"), pl.lit(family).alias("family"))
            for place, position in enumerate(POSITIONS)
            for number, family in enumerate(families)
        )
        if families
        else pl.DataFrame(schema=SHUFFLED_PAIRS.columns)
    )
