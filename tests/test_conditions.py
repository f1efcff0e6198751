"""Which interventions are tried, how large they are, and on which answers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.interventions.conditions import (
    SteeringVector,
    layer_pair_conditions,
    leace_erasure,
)
from sycophancy_steering.interventions.eligible_answers import eligible_answers, sample_answers
from sycophancy_steering.interventions.steering_plan import evenly_spaced_layers


def test_sycophantic_answers_that_the_model_gives_without_the_user_are_not_eligible():
    answers = pl.DataFrame(
        {"label": [0, 1, 1, None, 1], "flipped": [0, 1, 0, None, 1], "row": range(5)},
        schema={"label": pl.Int8, "flipped": pl.Int8, "row": pl.Int64},
    )
    assert eligible_answers(answers, "flipped")["row"].to_list() == [0, 1, 4]
    assert eligible_answers(answers, "label")["row"].to_list() == [0, 1, 2, 4]
    unknown = answers.with_columns(pl.lit(None, pl.Int8).alias("flipped"))
    assert eligible_answers(unknown, "flipped")["row"].to_list() == [0, 1, 2, 4]


def test_a_sample_has_at_most_so_many_answers_of_each_family_and_class():
    answers = pl.DataFrame(
        {"row": range(40), "family": ["a", "b"] * 20, "label": [0, 0, 1, 1] * 10}
    )
    sample = sample_answers(answers, 3)
    assert sample.group_by("family", "label").len()["len"].to_list() == [3] * 4
    assert sample["row"].is_sorted()
    assert sample_answers(answers, 100).equals(answers)


def test_after_leace_no_linear_probe_does_better_than_chance():
    """Belrose et al. 2023: the best linear predictor of what is erased is a constant."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    activations = rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8))
    activations += np.outer(labels, rng.normal(size=8) * 3)
    erase = leace_erasure(ArrayStream.from_array(activations), labels)
    erased = erase(torch.from_numpy(activations).float())
    probe = LogisticRegression(C=1e6, max_iter=2000)
    assert probe.fit(activations, labels).score(activations, labels) > 0.9
    refitted = probe.fit(erased.numpy(), labels)
    assert np.abs(refitted.predict_proba(erased.numpy())[:, 1] - labels.mean()).max() < 0.01
    assert torch.allclose(erase(erased), erased, atol=1e-4)


def test_a_coefficient_counts_steps_whatever_the_norm_of_the_vector():
    vector = SteeringVector("s/v", 1, np.array([0.0, 5.0]), step=3.0, midpoint=1.0)
    removals = ("everywhere", "remove", "mean")
    plus, minus, removed, mean, everywhere = vector.conditions(
        "prompt_end", (1.0, -2.0), removals, depth=3
    )
    activations = torch.tensor([[1.0, 2.0]])
    for condition, expected in ((plus, 5.0), (minus, -4.0), (removed, 0.0), (mean, 1.0)):
        changed = condition.intervention.changes[1](activations)
        assert torch.allclose(changed, torch.tensor([[1.0, expected]]))
    assert everywhere.intervention.where == "every"
    for change in everywhere.intervention.changes.values():
        assert torch.allclose(change(activations), torch.tensor([[1.0, 0.0]]))
    assert [*everywhere.intervention.changes] == [0, 1, 2]
    only_mean = vector.conditions("prompt_end", (1.0,), ["mean"])
    assert [condition.kind for condition in only_mean] == ["add", "mean"]
    random = vector.random_vectors(2, ArrayStream.from_array(np.ones((5, 2))))
    assert [*random] == ["random 1", "random 2"]
    for other in random.values():
        step = other.addition(1.0)(activations) - activations
        assert float(step.norm()) == pytest.approx(3.0)
        assert other.midpoint == pytest.approx(float(other.vector.sum()))


def test_every_layer_is_tried_alone_and_with_every_other():
    vectors = {
        layer: SteeringVector("s/v", layer, np.ones(2), step=1.0, midpoint=0.0)
        for layer in range(4)
    }
    conditions = [*layer_pair_conditions(vectors, "every")]
    assert sum(condition.second_layer is None for condition in conditions) == 4
    pairs = {
        (condition.layer, condition.second_layer)
        for condition in conditions
        if condition.second_layer
    }
    assert pairs == {(one, two) for two in range(4) for one in range(two)}
    assert all(
        set(condition.intervention.changes) == {condition.layer, condition.second_layer} - {None}
        for condition in conditions
    )


def test_compared_layers_are_evenly_spaced_from_the_first_to_the_last():
    assert evenly_spaced_layers(4, 32) == [0, 10, 21, 31]
    assert evenly_spaced_layers(4, 3) == [0, 1, 2]
