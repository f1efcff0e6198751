"""Sign-flip tests: uniform p-values under the null, small ones where there is an effect."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from sycophancy_steering.statistics.auroc import auroc
from sycophancy_steering.statistics.sign_flips import (
    item_influences,
    maximum_statistics,
    observed_statistics,
    p_values,
    random_signs,
)


def study(draw, items: int = 40, each: int = 5, k: int = 20):
    """Scores (k, n) independent of the labels, labels, items; all correlate within an item."""
    clusters = np.repeat(np.arange(items), each)
    own = draw.normal(size=items)[clusters]
    labels = (draw.random(items * each) < 1 / (1 + np.exp(-own))).astype(int)
    shared = draw.normal(size=(1, items * each))
    scores = (
        draw.normal(size=(k, items * each)) + shared + draw.normal(size=(k, items))[:, clusters]
    )
    return scores, labels, clusters


def test_influences_add_up_to_the_distance_from_one_half():
    draw = np.random.default_rng(0)
    scores, labels, clusters = study(draw)
    influences = item_influences(np.round(scores), labels, clusters, np.arange(-1, 41))
    assert influences.shape == (20, 42)
    np.testing.assert_allclose(np.linalg.norm(influences, axis=1), 1)
    found = auroc(np.round(scores), labels) - 0.5
    np.testing.assert_allclose(np.sign(observed_statistics(influences)), np.sign(found))
    again = item_influences(scores[:1] * 3 + 1, labels, clusters, np.arange(40))
    np.testing.assert_allclose(again, item_influences(scores[:1], labels, clusters, np.arange(40)))


@pytest.mark.parametrize("k", [1, 20])
def test_p_values_are_uniform_under_the_null(k):
    draw, found = np.random.default_rng(1), []
    signs = random_signs(40, 999, 0)
    for _ in range(500):
        influences = item_influences(*study(draw, k=k), np.arange(40))
        t = np.abs(observed_statistics(influences)).max(keepdims=True)
        found.append(p_values(t, maximum_statistics(influences, signs))[0])
    assert kstest(found, "uniform").pvalue > 0.01, np.quantile(found, [0.05, 0.25, 0.5, 0.75])


def test_an_effect_has_a_small_p_value_and_the_others_have_not():
    draw = np.random.default_rng(2)
    scores, labels, clusters = study(draw)
    scores[3] += 1.5 * labels
    influences = item_influences(scores, labels, clusters, np.arange(40))
    p = p_values(
        observed_statistics(influences), maximum_statistics(influences, random_signs(40, 999, 0))
    )
    assert p[3] < 0.01
    assert np.delete(p, 3).min() > 0.05


def test_one_class_has_p_values_of_one():
    scores, labels, clusters = study(np.random.default_rng(3))
    influences = item_influences(scores, np.zeros_like(labels), clusters, np.arange(40))
    assert (influences == 0).all()
    assert (
        p_values(
            observed_statistics(influences), maximum_statistics(influences, random_signs(40, 99, 0))
        )
        == 1
    ).all()
