"""Vectors from matched natural pairs: answers of one item, given in against held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_answers import synthetic_answers

from sycophancy_steering.analysis.resampling import vectors_from_items
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.vectors.contrast import MethodNotApplicable
from sycophancy_steering.vectors.labelled_activations import LabelledActivations
from sycophancy_steering.vectors.matched_items import MIN_ITEMS
from sycophancy_steering.vectors.methods import METHODS, PAIRS_ONLY, steering_vector

WIDTH, N_ITEMS, EACH = 12, 30, 5
WITHIN = Variant("mean_difference", "prompt", compared="within_items")


def cosine(one, other) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def study(folder, seed: int = 0, n_items: int = N_ITEMS) -> tuple[LabelledActivations, np.ndarray]:
    """Answers to several wordings about each item, and the cause of giving in.

    Items differ along a direction of their own, which makes the model give in more often, and one
    answer in ten has no label.
    """
    rng = np.random.default_rng(seed)
    items = rng.permutation(np.repeat(np.arange(n_items), EACH))
    readiness = rng.normal(size=n_items)
    labels = (readiness[items] + rng.normal(size=len(items)) > 0).astype(float)
    labels[rng.random(len(items)) < 0.1] = np.nan
    cause, topic = rng.normal(size=(2, WIDTH))
    activations = rng.normal(size=(len(items), WIDTH)) * 0.3
    activations += 5 * np.outer(readiness[items], topic) + np.outer(np.nan_to_num(labels), cause)
    names = np.array([f"item {n}" for n in items])
    return synthetic_answers(folder, {"prompt": activations}, names, labels=labels), cause


def brute_force(answers: LabelledActivations, wanted=None) -> np.ndarray:
    """(d_model,) mean over the items in `wanted` of the difference between their answers."""
    activations = answers.stream(0, "prompt").to_array()
    differences = []
    for item in np.unique(answers.items) if wanted is None else wanted:
        of_item = answers.items == item
        sides = [activations[of_item & (answers.labels == label)] for label in (1, 0)]
        if all(len(side) for side in sides):
            differences.append(sides[0].mean(0) - sides[1].mean(0))
    return np.mean(differences, 0)


def test_the_mean_difference_is_the_mean_over_items_of_their_differences(tmp_path):
    answers, _ = study(tmp_path)
    found = steering_vector("mean_difference", answers.contrast(WITHIN, 0))
    np.testing.assert_allclose(found, brute_force(answers), rtol=1e-5)


def test_what_differs_between_items_cancels(tmp_path):
    answers, cause = study(tmp_path)
    within, pooled = (
        steering_vector("mean_difference", answers.contrast(variant, 0))
        for variant in (WITHIN, replace(WITHIN, compared="all"))
    )
    assert cosine(within, cause) > 0.95
    assert cosine(pooled, cause) < 0.7


def test_only_answers_of_items_with_both_kinds_are_used(tmp_path):
    answers, _ = study(tmp_path)
    sycophantic, other = answers.selected_rows(WITHIN)
    assert (answers.labels[sycophantic] == 1).all() and (answers.labels[other] == 0).all()
    assert {*answers.items[sycophantic]} == {*answers.items[other]}
    kinds = {item: {*answers.labels[answers.items == item]} for item in answers.items}
    assert {*answers.items[other]} == {item for item, of in kinds.items() if of >= {0.0, 1.0}}


def test_a_sample_is_of_whole_items(tmp_path):
    answers, _ = study(tmp_path)
    variant = replace(WITHIN, n_pairs=6, seed=3)
    sycophantic, other = answers.selected_rows(variant)
    items = {*answers.items[sycophantic]}
    assert len(items) == 6 and items == {*answers.items[other]}
    found = steering_vector("mean_difference", answers.contrast(variant, 0))
    np.testing.assert_allclose(found, brute_force(answers, sorted(items)), rtol=1e-5)


def test_an_item_that_is_sampled_twice_counts_twice(tmp_path):
    answers, _ = study(tmp_path)
    both = [*dict.fromkeys(answers.items[answers.selected_rows(WITHIN)[0]])]
    items = [both[0], both[1], both[1], both[2], both[3]]
    found = vectors_from_items(answers, WITHIN, items)[0]
    np.testing.assert_allclose(found, brute_force(answers, items), rtol=1e-5)


@pytest.mark.parametrize("method", sorted({*METHODS} - PAIRS_ONLY - {"letter"}))
def test_every_method_for_pairs_takes_items(tmp_path, method):
    answers, cause = study(tmp_path)
    vector = steering_vector(method, answers.contrast(replace(WITHIN, method=method), 0))
    assert np.isfinite(vector).all() and np.linalg.norm(vector) > 0
    if method in ("median_difference", "pca"):  # others whiten, also by what differs between items
        assert cosine(vector, cause) > 0.7


def test_an_item_has_no_letter(tmp_path):
    answers, _ = study(tmp_path)
    with pytest.raises(MethodNotApplicable, match="no answers with two different letters"):
        steering_vector("letter", answers.contrast(WITHIN, 0))


def test_too_few_items_are_a_reason(tmp_path):
    answers, _ = study(tmp_path, n_items=MIN_ITEMS)
    answers.labels[:] = answers.items == "item 0"
    with pytest.raises(MethodNotApplicable, match=r"^0 items have both .* at least 4"):
        answers.selected_rows(WITHIN)
