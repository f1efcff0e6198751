"""What training changed in a model's states: vectors of a model trained towards something against
one trained away from it, and what is left to read in a model that was repaired."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.ablation_readout import read_again
from sycophancy_steering.interventions.question_batch import QuestionBatch, forward_of
from sycophancy_steering.questions.question import Row
from sycophancy_steering.tuning.baselines import TrainedModels
from sycophancy_steering.tuning.training_runs import LABEL_METHODS, PAIRS, TRUE_LABELS, Method, TrainingRun

HALVES = 2
"""Of the items of the fixed prompts."""


def run_pairs(
    every: Sequence[TrainingRun], settings: TuningSettings
) -> dict[tuple[Method, str, int], list[TrainingRun]]:
    """By method, what it was trained on, and seed: the run towards it, and the run away from it."""
    most, found = max(settings.n_examples), {}
    for run in every:
        of_most = run.training_set != PAIRS or run.n_examples == most
        if run.method in LABEL_METHODS and run.label_source == TRUE_LABELS and of_most:
            found.setdefault((run.method, run.training_set, run.seed), []).append(run)
    for both in found.values():
        both.sort(key=lambda run: not run.towards)
    return found


def difference_vectors(
    tuned: TrainedModels,
    compared: dict[tuple[Method, str, int], list[TrainingRun]],
    fixed: Sequence[Row],
    layers: int,
    budget: int,
) -> dict[tuple[Method, str, int], Floats]:
    """(halves, layers, d_model) of each: the mean state of `fixed` prompts at their last token, in
    the model trained towards, minus that in the one trained away; of either half of the items."""
    items = sorted({row.item for row in fixed})
    half = np.array([items.index(row.item) % HALVES for row in fixed])
    found = {}
    for key, runs in tqdm([*compared.items()], unit="pair", disable=None, desc="differences"):
        towards, away = (
            _mean_activations(tuned.trained(run), fixed, half, range(layers), budget) for run in runs
        )
        found[key] = towards - away
    return found


def _mean_activations(
    model: LanguageModel, rows: Sequence[Row], half: Floats, layers: Sequence[int], budget: int
) -> Floats:
    """(halves, layers, d_model)"""
    weights = np.stack([(half == n) / (half == n).sum() for n in range(HALVES)])
    found = np.zeros((HALVES, len(layers), model.d_model))
    for _, places, states in forward_of(rows, model, budget).activations([NO_INTERVENTION], layers):
        found += np.einsum("hn,lnd->hld", weights[:, places], states)
    return found


def scores_after_training(
    tuned: TrainedModels,
    runs: Sequence[TrainingRun],
    made: Floats,
    select: pl.DataFrame,
    test: pl.DataFrame,
    prompts: Path,
    budget: int,
) -> pl.DataFrame:
    """`afterwards_run.read_again` of the plain model (`method` missing) and of each that was
    trained away from sycophancy: read by the plain model's own vectors `made` (layers, d_model)."""
    tables = []
    for run in [None, *runs]:
        model = tuned.plain() if run is None else tuned.trained(run)
        for family in test["family"].unique(maintain_order=True):
            mine = pl.col("family") == family
            one, other = (
                QuestionBatch.from_answers(each.filter(mine), prompts, model, budget) for each in (select, test)
            )
            read = read_again([], made, one, other, f"{tuned.model}: {family}")
            method, seed = (run.method, run.seed) if run else (None, None)
            tables.append(
                read.select(
                    pl.lit(method, pl.String).alias("method"),
                    pl.lit(seed, pl.Int64).alias("seed"),
                    "id",
                    "item",
                    "family",
                    "label",
                    "by",
                    "read_layer",
                    "score",
                    "then",
                )
            )
    return pl.concat(tables)
