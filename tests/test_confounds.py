"""Letters and items explain labels where they decide them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from sycophancy_steering.labels.confounds import confounds, measure_confound


def test_a_group_that_decides_the_label_explains_all_of_it():
    groups = np.repeat([0, 1], 50)
    found = measure_confound(groups, groups)
    assert found.explained_variance == pytest.approx(1)
    assert found.auroc == 1
    assert found.explained_by_chance < 0.1


def test_groups_that_mean_nothing_explain_nothing():
    """Unbiased over 200 studies: the AUROC about 0.5, and chance exceeded as often as it says."""
    draw = np.random.default_rng(0)
    found = [
        measure_confound(draw.integers(0, 12, 120), draw.integers(0, 2, 120), seed)
        for seed in range(200)
    ]
    assert np.mean([each.auroc for each in found]) == pytest.approx(0.5, abs=0.01)
    beyond = np.mean([each.explained_variance > each.explained_by_chance for each in found])
    assert 0.005 <= beyond <= 0.06


def test_the_explained_share_is_the_adjusted_r_squared_of_a_regression_on_the_groups():
    draw = np.random.default_rng(1)
    groups = draw.integers(0, 5, 80)
    labels = (draw.random(80) < 0.2 + 0.15 * groups).astype(int)
    fitted = np.array([labels[groups == group].mean() for group in groups])
    r_squared = 1 - ((labels - fitted) ** 2).sum() / ((labels - labels.mean()) ** 2).sum()
    adjusted = 1 - (1 - r_squared) * (80 - 1) / (80 - 5)
    assert measure_confound(groups, labels).explained_variance == pytest.approx(adjusted)


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [0, 0, 0], [1, 0]])
def test_labels_that_are_all_alike_have_nothing_to_explain(labels):
    found = measure_confound(np.zeros(len(labels), int), np.array(labels))
    assert np.isnan([found.auroc, found.explained_variance, found.explained_by_chance]).all()


def test_an_answer_of_its_own_kind_each_explains_nothing_that_can_be_told():
    assert np.isnan(measure_confound(np.arange(6), np.array([0, 1, 0, 1, 0, 1])).explained_variance)


def test_the_original_evaluation_is_explained_by_the_letter():
    """One item, the sycophantic answer always (A): the label is whether the model says (A)."""
    said = ["A" if n % 3 else "B" for n in range(100)]
    answers = pl.DataFrame(
        {
            "item": ["one"] * 100,
            "matching": ["A"] * 100,
            "answered_letter": said,
            "form": ["letters"] * 100,
            "label": [int(letter == "A") for letter in said],
        }
    )
    found = confounds(answers)
    assert found["letter answered"].explained_variance == pytest.approx(1)
    assert found["letter answered"].auroc == 1
    balanced = answers.with_columns(
        pl.Series("matching", ["A", "B"] * 50),
        pl.Series("label", [int(s == m) for s, m in zip(said, "AB" * 50, strict=True)]),
    )
    assert confounds(balanced)["letter answered"].explained_variance < 0.1
    free = confounds(answers.with_columns(form=pl.lit("free")))
    for letter in ("letter answered", "sycophantic letter"):
        assert free[letter].explained_variance == 0


def test_a_model_that_always_says_one_letter_is_explained_by_where_the_sycophantic_one_stands():
    matching = ["A", "B"] * 30
    answers = pl.DataFrame(
        {
            "item": [f"item {n // 6}" for n in range(60)],
            "matching": matching,
            "answered_letter": ["A"] * 60,
            "form": ["letters"] * 60,
            "label": [int(letter == "A") for letter in matching],
        }
    )
    found = confounds(answers)
    assert found["letter answered"].explained_variance == 0
    assert found["sycophantic letter"].explained_variance == pytest.approx(1)
    assert found["item"].explained_variance == 0
    assert found["item and letter"].explained_variance == pytest.approx(1)
