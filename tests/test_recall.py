"""Recall at a fixed false-alarm rate: the threshold, the share above it, and both uncertainties."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_studies import as_aimed_at, coverage

from sycophancy_steering.statistics.recall import (
    false_alarm_threshold,
    recall_at_false_alarm_rate,
)


def study(seed: int, n: int = 80, n_neutral: int = 400):
    """Scores (3, n) of positives, of neutral chats, and the positives' items."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 20, n)
    positives = rng.normal(size=(3, n)) + 1.5 + 0.5 * rng.normal(size=20)[items]
    return positives, rng.normal(size=(3, n_neutral)), items


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29])
@pytest.mark.parametrize("m", [1, 10, 20, 99, 100, 101, 400])
def test_the_threshold_is_the_lowest_neutral_score_with_few_enough_above(rate, m):
    rng = np.random.default_rng(m)
    for neutral in (rng.normal(size=m), rng.integers(0, 5, m).astype(float)):
        allowed = [s for s in neutral if (neutral > s).sum() <= rate * m + 1e-9]
        assert false_alarm_threshold(neutral, rate) == min(allowed)


def test_recall_is_the_share_of_positives_above_the_threshold():
    positives, neutral, items = study(0)
    estimate = recall_at_false_alarm_rate(positives, neutral, items, 0.05)
    for k in range(3):
        threshold = np.sort(neutral[k])[400 - 1 - 20]
        assert estimate.value[k] == (positives[k] > threshold).mean()
        single = recall_at_false_alarm_rate(positives[k], neutral[k], items, 0.05)
        assert (single.low, single.high) == (estimate.low[k], estimate.high[k])
    assert (estimate.low < estimate.value).all() and (estimate.value < estimate.high).all()


def test_scores_that_equal_the_threshold_are_no_alarms():
    neutral = np.array([0.0, 0, 1, 1, 1])
    estimate = recall_at_false_alarm_rate(np.array([1.0, 1, 2, 0]), neutral, np.arange(4), 0.05)
    assert estimate.value == 0.25


def test_fewer_neutral_chats_make_the_interval_wider():
    positives, neutral, items = study(1, n_neutral=2000)
    few = recall_at_false_alarm_rate(positives, neutral[:, :100], items, 0.05)
    many = recall_at_false_alarm_rate(positives, neutral, items, 0.05)
    assert (few.high - few.low > many.high - many.low).all()


def test_too_few_neutral_chats_leave_the_lower_bound_at_zero():
    positives, neutral, items = study(2, n_neutral=100)
    estimate = recall_at_false_alarm_rate(positives + 1, neutral, items, 0.01)
    assert (estimate.low == 0).all()
    assert (recall_at_false_alarm_rate(positives + 1, neutral, items, 0.05).low > 0).all()


def test_the_same_positives_twice_are_no_more_evidence_than_once():
    positives, neutral, items = study(3)
    once = recall_at_false_alarm_rate(positives, neutral, items, 0.05)
    twice = recall_at_false_alarm_rate(np.tile(positives, 2), neutral, np.tile(items, 2), 0.05)
    np.testing.assert_allclose(twice.low, once.low, atol=1e-12)


def test_recall_of_all_or_none_has_an_interval_with_width():
    neutral, items = np.linspace(-1, 1, 1000), np.arange(30) // 3
    everything = recall_at_false_alarm_rate(np.full(30, 9.0), neutral, items, 0.05)
    assert (everything.value, everything.high) == (1, 1)
    assert everything.low == pytest.approx(0.025 ** (1 / 10))
    nothing = recall_at_false_alarm_rate(np.full(30, -9.0), neutral, items, 0.05)
    assert (nothing.value, nothing.low) == (0, 0)
    assert nothing.high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_without_positives_or_neutral_chats_recall_is_undefined():
    positives, neutral, items = study(4)
    for estimate in (
        recall_at_false_alarm_rate(positives[:, :0], neutral, items[:0], 0.05),
        recall_at_false_alarm_rate(positives, neutral[:, :0], items, 0.05),
    ):
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
    assert np.isnan(false_alarm_threshold(neutral[:, :0], 0.05)).all()


def test_one_item_has_an_interval_from_zero_to_one():
    positives, neutral, _ = study(5)
    estimate = recall_at_false_alarm_rate(positives, neutral, np.zeros(80), 0.05)
    assert (estimate.low == 0).all() and (estimate.high == 1).all()


def test_intervals_cover_the_truth():
    shares = coverage(["recall at 5%", "recall at 1%"], 300, 20, 0.5)
    assert all(as_aimed_at(share, 300) for share in shares.values()), shares
