"""Spearman's correlation against scipy, its influences against derivatives, its null."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, spearmanr
from simulated_studies import as_aimed_at, coverage, null_p_values

from sycophancy_steering.statistics.rank_correlation import (
    clustered_rank_correlation,
    item_rank_influences,
    rank_correlation,
    rank_influences,
)
from sycophancy_steering.statistics.sign_flips import SignFlipTest, p_values, random_signs


def study(seed: int, n: int = 40, ties: bool = True):
    """Scores (3, n), a continuous outcome and items."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 8, n)
    outcome = rng.normal(size=n) + rng.normal(size=8)[items]
    scores = rng.normal(size=(3, n)) + 0.5 * outcome
    return (np.round(scores), np.round(outcome), items) if ties else (scores, outcome, items)


def weighted_rank_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Spearman's correlation of a distribution with these weights, by its definition."""
    weights = weights / weights.sum()

    def shares_below(values):
        less = (values[None] < values[:, None]) + 0.5 * (values[None] == values[:, None])
        below = (less * weights).sum(1)
        return below - (weights * below).sum()

    a, b = shares_below(x), shares_below(y)
    return (weights * a * b).sum() / np.sqrt((weights * a**2).sum() * (weights * b**2).sum())


@pytest.mark.parametrize("ties", [True, False])
def test_rank_correlation_is_that_of_scipy(ties):
    for seed in range(10):
        scores, outcome, _ = study(seed, ties=ties)
        expected = np.array([spearmanr(row, outcome) for row in scores])[:, 0]
        np.testing.assert_allclose(rank_correlation(scores, outcome), expected, atol=1e-12)


@pytest.mark.parametrize("ties", [True, False])
def test_influences_are_derivatives_by_the_weights_of_answers(ties):
    scores, outcome, _ = study(1, ties=ties)
    n, step = len(outcome), 1e-5
    influences = rank_influences(scores, outcome, rank_correlation(scores, outcome))
    for row, influence in zip(scores, influences, strict=True):
        more, less = (
            [weighted_rank_correlation(row, outcome, np.ones(n) + sign * one) for one in np.eye(n)]
            for sign in (step * 1.0, step * -1.0)
        )
        expected = (np.array(more) - np.array(less)) / (2 * step)
        np.testing.assert_allclose(influence, expected, atol=1e-9)


def test_the_same_answers_twice_are_no_more_evidence_than_once():
    scores, outcome, items = study(2)
    once = clustered_rank_correlation(scores, outcome, items)
    twice = clustered_rank_correlation(np.tile(scores, 2), np.tile(outcome, 2), np.tile(items, 2))
    np.testing.assert_allclose([twice.low, twice.high], [once.low, once.high], atol=1e-9)


def test_a_constant_score_or_outcome_has_no_correlation():
    scores, outcome, items = study(3)
    scores[1] = 2.0
    estimate = clustered_rank_correlation(scores, outcome, items)
    for bound in (estimate.value, estimate.low, estimate.high):
        assert np.isnan(bound).tolist() == [False, True, False]
    assert np.isnan(clustered_rank_correlation(scores, np.zeros(40), items).low).all()
    observed, influences = item_rank_influences(scores, outcome, items, np.arange(8))
    assert observed[1] == 0 and (influences[1] == 0).all()


def test_two_items_have_an_interval_from_minus_one_to_one():
    scores, outcome, items = study(4)
    scores[1] = 2.0
    estimate = clustered_rank_correlation(scores, outcome, items % 2)
    assert estimate.low[0] == -1 and estimate.high[0] == 1
    assert np.isnan(estimate.low[1]) and np.isnan(estimate.high[1])


def test_the_same_order_is_a_correlation_of_one():
    outcome = np.arange(12.0)
    estimate = clustered_rank_correlation(np.stack([outcome**3, -outcome]), outcome, outcome)
    assert estimate.value == pytest.approx([1, -1])
    assert estimate.low == pytest.approx([1, -1])


def test_an_answer_or_none_has_no_correlation():
    for n in (0, 1):
        nothing = np.zeros((2, n))
        assert np.isnan(rank_correlation(nothing, np.zeros(n))).all()


def test_intervals_cover_and_p_values_are_uniform():
    assert as_aimed_at(coverage(["rank correlation"], 300, 20, 0.5)["rank correlation"], 300)
    for k in (1, 10):
        assert kstest(null_p_values("rank correlation", 300, 20, 0.5, k), "uniform").pvalue > 0.001


def test_the_largest_of_many_correlations_is_tested_as_of_many_aurocs():
    rng = np.random.default_rng(5)
    items = np.repeat(np.arange(40), 4)
    outcome = rng.normal(size=160)
    scores = rng.normal(size=(20, 160)) + 0.6 * (np.arange(20) == 7)[:, None] * outcome
    observed, influences = item_rank_influences(scores, outcome, items, np.arange(40))
    np.testing.assert_allclose(np.linalg.norm(influences, axis=1), 1)
    np.testing.assert_array_equal(np.sign(observed), np.sign(rank_correlation(scores, outcome)))
    test = SignFlipTest(np.arange(40), random_signs(40, 999, 0))
    own = test.add_influences(["vector"] * 20, observed, influences)
    p = p_values(observed, test.maxima["vector"])
    alone = [
        p_values(t, np.abs(row @ test.signs)) for t, row in zip(observed, influences, strict=True)
    ]
    np.testing.assert_array_equal(own, alone)
    assert p[7] < 0.01
    assert np.delete(p, 7).min() > 0.05
