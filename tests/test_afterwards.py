"""What can still be read once something is taken out."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from tiny_models import rows, tiny
from tqdm import tqdm

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention, ablate_direction
from sycophancy_steering.interventions.ablation_readout import (
    mean_differences,
    read_again,
    _scores_and_log_odds,
)
from sycophancy_steering.interventions.ablation_tables import (
    REFITTED,
    ORIGINAL,
    auroc_after_ablation,
)
from sycophancy_steering.interventions.question_batch import QuestionBatch, forward_of
from sycophancy_steering.interventions.conditions import Condition

LAYER = 1


def questions() -> QuestionBatch:
    """Twelve, the sycophantic ones of another length than the others."""
    found = [each for _ in range(6) for each in rows()[:2]]
    about = {"item": [f"item {n % 4}" for n in range(len(found))], "family": "opinion"}
    answers = pl.DataFrame({"id": [f"{n}" for n in range(len(found))], **about}).with_columns(
        label=pl.Series([n % 2 for n in range(len(found))])
    )
    return QuestionBatch(answers, found, forward_of(found, tiny("llama"), 200), 200)


def test_a_vector_reads_nothing_where_it_was_taken_out_and_another_may():
    held = questions()
    made = mean_differences(held, [NO_INTERVENTION], range(2), tqdm(disable=True))[0]
    change = ablate_direction(torch.from_numpy(made[LAYER]))
    gone = Intervention({LAYER: change}, "prompt_end_on")
    condition = Condition("s/v", "own", "remove", LAYER, None, 1.0, gone)
    read = auroc_after_ablation(read_again([condition], made, held, held, "tiny"))
    assert len(read) == 2 * 2 * 2  # as it is and taken out, by each vector, at each layer
    area = {(row["kind"], row["by"], row["read_layer"]): row for row in read.iter_rows(named=True)}
    for by in (ORIGINAL, REFITTED):
        assert area[None, by, LAYER]["auroc"] == 1
        assert area["remove", by, 0]["auroc"] == area[None, by, 0]["auroc"]
    assert area["remove", ORIGINAL, LAYER]["auroc"] == 0.5
    assert (read["n"] == 12).all() and (read["items"] == 4).all()


def test_mean_differences_are_those_of_the_states():
    held = questions()
    [found] = mean_differences(held, [NO_INTERVENTION], range(2), tqdm(disable=True))
    states = np.empty((2, 12, found.shape[-1]))
    for _, places, some in held.forward.activations([NO_INTERVENTION], range(2)):
        states[:, places] = some
    expected = states[:, 1::2].mean(1) - states[:, ::2].mean(1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_where_all_answer_alike_there_is_nothing_to_read():
    answers = pl.DataFrame(
        {"id": ["a", "b", "c", "d"], "item": ["1", "2", "3", "4"], "family": ["opinion"] * 4}
        | {"label": [0, 1, 0, 1], "then": [0, 0, 0, 0], "score": [0.0, 1.0, 0.0, 1.0]}
        | {"vector": "s/v", "direction": "own", "kind": "mean", "layer": 1, "second": None}
        | {"dose": 1.0, "by": ORIGINAL, "read_layer": 1}
    )
    row = auroc_after_ablation(answers).row(0, named=True)
    assert (row["auroc"], row["n_then"]) == (1, 0)
    assert row["auroc_then"] is None


@pytest.mark.parametrize("grain", [1e-7, -1e-7])
def test_what_is_left_of_rounding_is_no_reading(grain):
    held = questions()
    vectors = np.zeros((1, 1, 2, held.forward.model.d_model))
    vectors[..., 0] = 1
    scores, _ = _scores_and_log_odds(
        held,
        [
            Intervention(
                {n: ablate_direction(torch.tensor(vectors[0, 0, 0] + grain)) for n in (0, 1)}
            )
        ],
        vectors,
        tqdm(disable=True),
    )
    assert len(set(scores[0, 0, 1])) == 1
