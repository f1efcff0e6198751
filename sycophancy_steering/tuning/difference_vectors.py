"""What fine-tuning changes in a model's activations.

A difference vector is the mean activation in a model trained towards a behaviour, minus that in one
trained away from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tqdm import tqdm

from sycophancy_steering.config.tuning import TrainingMethod, TuningSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.engine.workers import LocalWorkers
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.ablation_readout import ablation_scores
from sycophancy_steering.interventions.question_batch import forward_of
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.interventions import QUESTION
from sycophancy_steering.tuning.trained_models import TrainedModels
from sycophancy_steering.tuning.training_runs import (
    LABEL_METHODS,
    PAIRS,
    TRUE_LABELS,
    TrainingRun,
)

Key = tuple[TrainingMethod, str, int]
"""Method, training set and seed."""
N_HALVES = 2
"""The items of the prompts are split into halves, whose vectors are compared."""


def run_pairs(
    runs: Sequence[TrainingRun], settings: TuningSettings
) -> dict[Key, tuple[TrainingRun, TrainingRun]]:
    """The run towards and the run away, for each method with labels, training set and seed; of
    runs on pairs, those with the most examples and true labels."""
    most = max(settings.n_examples)
    by_key: dict[Key, dict[bool, TrainingRun]] = {}
    for run in runs:
        is_largest = run.training_set != PAIRS or run.n_examples == most
        if run.method in LABEL_METHODS and run.label_source == TRUE_LABELS and is_largest:
            key = (run.method, run.training_set, run.seed)
            by_key.setdefault(key, {})[run.towards] = run
    return {key: (directions[True], directions[False]) for key, directions in by_key.items()}


def difference_vectors(
    models: TrainedModels,
    pairs: Mapping[Key, tuple[TrainingRun, TrainingRun]],
    rows: Sequence[Row],
    n_layers: int,
) -> dict[Key, Floats]:
    """(halves, layers, d_model): difference vectors at the last token of the prompts of `rows`, for
    each half of their items."""
    items = sorted({row.item for row in rows})
    half = np.array([items.index(row.item) % N_HALVES for row in rows])
    vectors = {}
    for key, runs in tqdm([*pairs.items()], unit="pair", disable=None, desc="differences"):
        towards, away = (
            _mean_activations(models.trained(run), rows, half, range(n_layers)) for run in runs
        )
        vectors[key] = towards - away
    return vectors


def _mean_activations(
    workers: LocalWorkers,
    rows: Sequence[Row],
    half: NDArray[np.integer],
    layers: Sequence[int],
) -> Floats:
    """(halves, layers, d_model)"""
    weights = np.stack([(half == n) / (half == n).sum() for n in range(N_HALVES)])
    means = np.zeros((N_HALVES, len(layers), workers.language_model.d_model))
    forward = forward_of(rows, workers)
    for _, indices, activations in forward.activations([NO_INTERVENTION], layers):
        means += np.einsum("hn,lnd->hld", weights[:, indices], activations)
    return means


def scores_after_training(
    models: TrainedModels,
    runs: Sequence[TrainingRun],
    vectors: Floats,
    study: Study,
    n_readout: int,
) -> pl.DataFrame:
    """The table of `ablation_scores` with the columns `method` and `seed`: for the plain model
    (both missing) and for each run, read out with the plain model's `vectors` (layers, d_model),
    on at most `n_readout` answers of each family and class."""
    select, test = (study.sample(split, n_readout) for split in ("select", "test"))
    tables = []
    for run in [None, *runs]:
        workers = models.plain() if run is None else models.trained(run)
        method, seed = (run.method, run.seed) if run else (None, None)
        for family in test["family"].unique(maintain_order=True):
            of_select, of_test = (
                study.questions(sample.filter(pl.col("family") == family), workers)
                for sample in (select, test)
            )
            description = f"{models.model}: {family}"
            scores = ablation_scores([], vectors, of_select, of_test, description)
            tables.append(
                scores.select(
                    pl.lit(method, pl.String).alias("method"),
                    pl.lit(seed, pl.Int64).alias("seed"),
                    *QUESTION,
                    "readout_vector",
                    "readout_layer",
                    "score",
                    "label_after",
                )
            )
    return pl.concat(tables)
