"""Predictivity of activations after a direction was ablated."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from tiny_models import rows, tiny
from tqdm import tqdm

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention, ablate_direction
from sycophancy_steering.engine.workers import LocalWorkers
from sycophancy_steering.interventions.ablation_readout import (
    ablation_scores,
    mean_differences,
    scores_and_log_odds,
)
from sycophancy_steering.interventions.ablation_tables import auroc_after_ablation
from sycophancy_steering.interventions.conditions import Condition
from sycophancy_steering.interventions.question_batch import QuestionBatch, forward_of
from sycophancy_steering.schemas.interventions import ORIGINAL, REFITTED

LAYER = 1


def questions() -> QuestionBatch:
    """Twelve questions; the prompts of sycophantic answers have another length than the others."""
    batch = [row for _ in range(6) for row in rows()[:2]]
    n = len(batch)
    answers = pl.DataFrame(
        {"id": [f"{k}" for k in range(n)], "item": [f"item {k % 4}" for k in range(n)]}
        | {"family": ["opinion"] * n, "label": [k % 2 for k in range(n)]}
    )
    return QuestionBatch(answers, batch, forward_of(batch, LocalWorkers(tiny("llama"), 200)))


def test_a_removed_direction_predicts_nothing_where_it_was_removed_and_as_before_below():
    batch = questions()
    vectors = mean_differences(batch, [NO_INTERVENTION], range(2), tqdm(disable=True))[0]
    change = ablate_direction(torch.from_numpy(vectors[LAYER]))
    removal = Intervention({LAYER: change}, "prompt_end_on")
    condition = Condition("s/v", "own", "remove", LAYER, None, 1.0, removal)
    scores = ablation_scores([condition], vectors, batch, batch, "tiny")
    table = auroc_after_ablation(scores)
    assert len(table) == 2 * 2 * 2  # without and with the removal, two vectors, two layers
    aurocs = {
        (row["kind"], row["readout_vector"], row["readout_layer"]): row["auroc"]
        for row in table.iter_rows(named=True)
    }
    for vector in (ORIGINAL, REFITTED):
        assert aurocs[None, vector, LAYER] == 1
        assert aurocs["remove", vector, 0] == aurocs[None, vector, 0]
    assert aurocs["remove", ORIGINAL, LAYER] == 0.5
    assert (table["n"] == 12).all()
    assert (table["n_items"] == 4).all()


def test_mean_differences_are_those_of_the_activations():
    batch = questions()
    [differences] = mean_differences(batch, [NO_INTERVENTION], range(2), tqdm(disable=True))
    activations = np.empty((2, 12, differences.shape[-1]))
    for _, indices, of_batch in batch.forward.activations([NO_INTERVENTION], range(2)):
        activations[:, indices] = of_batch
    expected = activations[:, 1::2].mean(1) - activations[:, ::2].mean(1)
    np.testing.assert_allclose(differences, expected, atol=1e-6)


def test_where_all_answers_are_alike_afterwards_there_is_no_auroc_of_them():
    scores = pl.DataFrame(
        {"id": ["a", "b", "c", "d"], "item": ["1", "2", "3", "4"], "family": ["opinion"] * 4}
        | {"label": [0, 1, 0, 1], "label_after": [0, 0, 0, 0], "score": [0.0, 1.0, 0.0, 1.0]}
        | {"vector": "s/v", "direction": "own", "kind": "mean", "layer": 1, "second_layer": None}
        | {"coefficient": 1.0, "readout_vector": ORIGINAL, "readout_layer": 1}
    )
    row = auroc_after_ablation(scores).row(0, named=True)
    assert (row["auroc"], row["n_sycophantic_after"]) == (1, 0)
    assert row["auroc_after"] is None


@pytest.mark.parametrize("error", [1e-7, -1e-7])
def test_rounding_errors_along_a_removed_direction_are_no_scores(error):
    batch = questions()
    vectors = np.zeros((1, 1, 2, batch.forward.model.d_model))
    vectors[..., 0] = 1
    change = ablate_direction(torch.tensor(vectors[0, 0, 0] + error))
    removal = Intervention({0: change, 1: change})
    scores, _ = scores_and_log_odds(batch, [removal], vectors, tqdm(disable=True))
    assert len(set(scores[0, 0, 1])) == 1
