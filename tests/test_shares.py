"""Shares, means and differences of shares with intervals clustered by item."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp
from simulated_studies import as_aimed_at, coverage

from sycophancy_steering.statistics.clustered_means import (
    clustered_mean,
    clustered_share,
    group_share_difference,
    share_difference,
)

INTERVALS = ["share", "mean", "difference of shares", "difference between answers"]


def study(seed: int, n: int = 60):
    """Flags (3, n), flags of the same questions under a control, and items."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 12, n)
    flags = rng.random((3, n)) < (0.2 + 0.6 * rng.random(12))[items]
    return flags, flags & (rng.random(n) < 0.7), items


def test_a_difference_of_shares_has_the_t_interval_of_the_items_differences():
    flags, control, items = study(0)
    estimate = share_difference(flags, control, items)
    names = np.unique(items)
    for k in range(3):
        value = flags[k].mean() - control[k].mean()
        gaps = flags[k].astype(float) - control[k] - value
        sums = np.array([gaps[items == name].sum() for name in names]) / len(items)
        error = np.sqrt((sums**2).sum() * len(names) / (len(names) - 1))
        half_width = t.ppf(0.975, len(names) - 1) * error
        assert estimate.value[k] == pytest.approx(value, abs=1e-12)
        assert estimate.low[k] == pytest.approx(value - half_width, abs=1e-12)
        assert estimate.high[k] == pytest.approx(value + half_width, abs=1e-12)


def test_with_a_question_an_item_it_is_the_paired_t_test():
    flags, control, _ = study(1)
    estimate = share_difference(flags[0], control[0], np.arange(60))
    expected = ttest_1samp(flags[0].astype(float) - control[0], 0).confidence_interval()
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))


def test_one_control_serves_many_conditions():
    flags, control, items = study(2)
    estimate = share_difference(flags, control[1], items)
    single = share_difference(flags[2], control[1], items)
    assert estimate.low[2] == pytest.approx(single.low)


def test_differences_that_do_not_vary_still_have_an_interval():
    items, ones, zeros = np.repeat(np.arange(10), 3), np.ones(30, bool), np.zeros(30, bool)
    width = 1 - 0.025 ** (1 / 10)
    same = share_difference(ones, ones, items)
    assert (same.low, same.value, same.high) == pytest.approx((-width, 0, width))
    all_more = share_difference(ones, zeros, items)
    assert (all_more.low, all_more.high) == pytest.approx((1 - width, 1))


def test_a_difference_stays_within_minus_one_and_one():
    flags, control = np.array([1, 1, 1, 0], bool), np.zeros(4, bool)
    estimate = share_difference(flags, control, np.arange(4))
    assert estimate.high == 1


def test_one_item_has_no_bounds():
    flags, control, _ = study(3)
    estimate = share_difference(flags, control, np.zeros(60))
    assert np.isnan(estimate.low).all() and np.isnan(estimate.high).all()
    assert not np.isnan(estimate.value).any()


def test_shares_of_all_or_none_have_intervals_within_zero_and_one():
    items = np.repeat(np.arange(10), 3)
    estimate = clustered_share(np.repeat([[True], [False]], 30, axis=1), items)
    assert estimate.low == pytest.approx([0.025 ** (1 / 10), 0])
    assert estimate.high == pytest.approx([1, 1 - 0.025 ** (1 / 10)])


def test_with_an_answer_an_item_a_mean_has_students_interval():
    values = np.random.default_rng(4).normal(size=(2, 25))
    estimate = clustered_mean(values, np.arange(25))
    expected = ttest_1samp(values, 0, axis=1).confidence_interval()
    np.testing.assert_allclose([estimate.low, estimate.high], expected, atol=1e-12)


def test_the_difference_between_answers_is_that_of_a_regression_on_the_label():
    """The cluster-robust variance of ordinary least squares (Liang and Zeger 1986)."""
    flags, labels, items = study(5)
    labels = labels[0].astype(int)
    estimate = group_share_difference(flags, labels, items)
    design = np.stack([np.ones(60), labels], axis=1)
    names = np.unique(items)
    n_rarer = min(len(np.unique(items[labels == label])) for label in (0, 1))
    for k in range(len(flags)):
        coefficients = np.linalg.lstsq(design, flags[k].astype(float), rcond=None)[0]
        residuals = flags[k] - design @ coefficients
        sums = np.stack([(design * residuals[:, None])[items == name].sum(0) for name in names])
        bread = np.linalg.inv(design.T @ design)
        covariance = bread @ (sums.T @ sums) @ bread * len(names) / (len(names) - 1)
        half_width = t.ppf(0.975, n_rarer - 1) * np.sqrt(covariance[1, 1])
        assert estimate.value[k] == pytest.approx(coefficients[1], abs=1e-12)
        assert estimate.high[k] == pytest.approx(min(1, coefficients[1] + half_width), abs=1e-12)
        assert estimate.low[k] == pytest.approx(max(-1, coefficients[1] - half_width), abs=1e-12)


def test_a_difference_between_answers_that_are_all_alike_still_has_an_interval():
    items, labels = np.repeat(np.arange(10), 2), np.tile([1, 0], 10)
    width = 1 - 0.025 ** (1 / 10)
    same = group_share_difference(np.ones(20, bool), labels, items)
    assert (same.low, same.value, same.high) == pytest.approx((-width, 0, width))
    apart = group_share_difference(labels == 1, labels, items)
    assert (apart.low, apart.value, apart.high) == pytest.approx((1 - width, 1, 1))


def test_one_item_of_either_kind_tells_nothing_and_one_kind_has_no_difference():
    flags, labels = np.array([True, False, True]), np.array([1, 0, 0])
    estimate = group_share_difference(flags, labels, np.array([0, 1, 2]))
    assert (estimate.low, estimate.value, estimate.high) == (-1, 0.5, 1)
    assert np.isnan(group_share_difference(flags, np.ones(3, int), np.arange(3)).value)


@pytest.mark.parametrize("prevalence", [0.2, 0.5])
def test_intervals_cover_the_truth(prevalence):
    shares = coverage(INTERVALS, 300, 20, prevalence)
    assert all(as_aimed_at(share, 300) for share in shares.values()), shares
