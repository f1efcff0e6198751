"""AUROC within strata against loops over pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, t
from simulated_studies import as_aimed_at, coverage, null_p_values

from sycophancy_steering.statistics.auroc import auroc, clustered_auroc
from sycophancy_steering.statistics.auroc_difference import auroc_difference
from sycophancy_steering.statistics.sign_flips import SignFlipTest, p_values, random_signs
from sycophancy_steering.statistics.stratified_auroc import (
    clustered_stratified_auroc,
    degrees_of_freedom,
    item_stratified_influences,
    stratified_auroc,
    stratified_auroc_difference,
)


def study(seed: int, n: int = 60, ties: bool = True):
    """Scores (3, n), labels, templates and items, with strata of one class and single answers."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(int)
    items, templates = rng.integers(0, 15, n), rng.integers(0, 5, n)
    labels[items == 3] = 0
    scores = rng.normal(size=(3, n)) + 0.8 * labels + rng.normal(size=15)[items]
    return np.round(scores) if ties else scores, labels, templates.astype(str), items


def pairs_of(scores, labels, strata) -> list[tuple[int, int, float]]:
    """(sycophantic, other, in order) of every pair within a stratum."""
    return [
        (int(i), int(j), float(scores[i] > scores[j]) + 0.5 * float(scores[i] == scores[j]))
        for i in np.flatnonzero(labels == 1)
        for j in np.flatnonzero(labels == 0)
        if strata[i] == strata[j]
    ]


def sums_by_item(scores, labels, strata, items):
    """The estimate, and what each item with pairs contributes to it, pair by pair."""
    pairs = pairs_of(scores, labels, strata)
    value = sum(in_order for *_, in_order in pairs) / len(pairs)
    sums = {items[k]: 0.0 for i, j, _ in pairs for k in (i, j)}
    for i, j, in_order in pairs:
        for item in {items[i], items[j]}:  # once where both answers are about one item
            sums[item] += (in_order - value) / len(pairs)
    return value, sums


def degrees_of_freedom_by_pairs(pairs, items):
    """One less than the items of the rarer class or than the effective number, pair by pair."""
    rarer = min(len({items[i] for i, *_ in pairs}), len({items[j] for _, j, _ in pairs}))
    n_pairs = {items[k]: 0 for i, j, _ in pairs for k in (i, j)}
    for i, j, _ in pairs:
        for item in {items[i], items[j]}:
            n_pairs[item] += 1
    effective = sum(n_pairs.values()) ** 2 / sum(n**2 for n in n_pairs.values())
    return min(rarer, effective) - 1


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("by_item", [True, False])
def test_estimate_and_interval_are_those_of_a_loop_over_pairs(ties, by_item):
    for seed in range(5):
        scores, labels, templates, items = study(seed, ties=ties)
        strata = items if by_item else templates
        result = clustered_stratified_auroc(scores, labels, strata, items)
        pairs = pairs_of(scores[0], labels, strata)
        assert result.n_pairs == len(pairs)
        assert result.n_strata == len({strata[i] for i, *_ in pairs})

        assert result.n_items == len({items[k] for i, j, _ in pairs for k in (i, j)})
        for k, row in enumerate(scores):
            value, sums = sums_by_item(row, labels, strata, items)
            variance = sum(s**2 for s in sums.values()) * len(sums) / (len(sums) - 1)
            quantile = t.ppf(0.975, degrees_of_freedom_by_pairs(pairs, items))
            step = quantile * np.sqrt(variance) / (value * (1 - value))
            logit = np.log(value / (1 - value))
            assert result.auroc.value[k] == pytest.approx(value, abs=1e-12)
            assert stratified_auroc(row, labels, strata) == pytest.approx(value, abs=1e-12)
            assert result.auroc.low[k] == pytest.approx(1 / (1 + np.exp(step - logit)), abs=1e-12)
            assert result.auroc.high[k] == pytest.approx(1 / (1 + np.exp(-step - logit)), abs=1e-12)


def test_one_stratum_is_plain_auroc_and_with_an_answer_an_item_so_is_its_interval():
    scores, labels, _, items = study(1)
    one = np.zeros(len(labels))
    result = clustered_stratified_auroc(scores, labels, one, items)
    np.testing.assert_allclose(result.auroc.value, auroc(scores, labels), atol=1e-12)
    alone = np.arange(len(labels))
    result = clustered_stratified_auroc(scores, labels, one, alone).auroc
    expected = clustered_auroc(scores, labels, alone)
    np.testing.assert_allclose([result.low, result.high], [expected.low, expected.high], rtol=1e-9)


def test_what_differs_between_strata_is_not_counted():
    scores, labels, _, items = study(2, ties=False)
    shifted = scores + 100.0 * items
    before = clustered_stratified_auroc(scores, labels, items, items)
    after = clustered_stratified_auroc(shifted, labels, items, items)
    np.testing.assert_allclose(after.auroc.low, before.auroc.low, rtol=1e-9)
    assert before.n_pairs == after.n_pairs


def test_answers_without_an_opponent_change_nothing():
    scores, labels, _, items = study(3)
    expected = clustered_stratified_auroc(scores, labels, items, items)
    more = np.concatenate([scores, np.full((3, 2), 9.0)], axis=1)
    labels, items = np.append(labels, [1, 0]), np.append(items, [90, 91])
    result = clustered_stratified_auroc(more, labels, items, items)
    np.testing.assert_array_equal(result.auroc.low, expected.auroc.low)
    assert (result.n_items, result.n_pairs) == (expected.n_items, expected.n_pairs)


def test_no_pair_is_undefined_and_one_item_has_an_interval_from_zero_to_one():
    scores = np.arange(8.0).reshape(2, 4)
    labels, items = np.array([1, 1, 0, 0]), np.array([0, 1, 2, 3])
    nothing = clustered_stratified_auroc(scores, labels, items, items)
    assert np.isnan(nothing.auroc.value).all() and np.isnan(nothing.auroc.high).all()
    assert (nothing.n_strata, nothing.n_items, nothing.n_pairs) == (0, 0, 0)
    assert np.isnan(stratified_auroc(scores, labels, items)).all()
    assert np.isnan(stratified_auroc_difference(scores, scores[0], labels, items, items).low).all()
    observed, influences = item_stratified_influences(scores, labels, items, items, items)
    assert (observed == 0).all() and (influences == 0).all() and influences.shape == (2, 4)
    one = np.array([0, 1, 0, 2])
    single = clustered_stratified_auroc(scores, labels, one, one)
    assert single.auroc.value.tolist() == [0, 0]
    assert (single.auroc.low.tolist(), single.auroc.high.tolist()) == ([0, 0], [1, 1])
    assert (single.n_strata, single.n_items, single.n_pairs) == (1, 1, 1)
    assert np.isnan(stratified_auroc_difference(scores, scores[0], labels, one, one).high).all()


def test_a_perfect_order_has_an_interval_with_width_and_a_constant_score_one_around_a_half():
    labels, items = np.arange(20) % 2, np.arange(20) // 2
    scores = np.array([labels, np.zeros(20)], dtype=np.float64)
    result = clustered_stratified_auroc(scores, labels, items, items).auroc
    assert result.value.tolist() == [1, 0.5]
    assert result.low[0] == pytest.approx(0.025 ** (1 / 10))
    # All ties: what varies between items is known exactly.
    assert result.low[1] == result.high[1] == 0.5


@pytest.mark.parametrize("by_item", [True, False])
def test_a_difference_has_the_interval_of_the_differences_of_influences(by_item):
    scores, labels, templates, items = study(4)
    strata = items if by_item else templates
    result = stratified_auroc_difference(scores, scores[0], labels, strata, items)
    assert result.value[0] == result.low[0] == result.high[0] == 0
    value_baseline, sums_baseline = sums_by_item(scores[0], labels, strata, items)
    pairs = pairs_of(scores[0], labels, strata)
    for k in (1, 2):
        value, sums = sums_by_item(scores[k], labels, strata, items)
        squares = sum((sums[item] - sums_baseline[item]) ** 2 for item in sums)
        error = np.sqrt(squares * len(sums) / (len(sums) - 1))
        assert result.value[k] == pytest.approx(value - value_baseline, abs=1e-12)
        half_width = t.ppf(0.975, degrees_of_freedom_by_pairs(pairs, items)) * error
        assert result.high[k] - result.value[k] == pytest.approx(half_width, abs=1e-12)


def test_a_difference_in_one_stratum_is_that_of_plain_aurocs():
    scores, labels, *_ = study(5)
    alone, one = np.arange(len(labels)), np.zeros(len(labels))
    result = stratified_auroc_difference(scores[1:], scores[0], labels, one, alone)
    expected = auroc_difference(scores[1:], scores[0], labels, alone)
    np.testing.assert_allclose(result.value, expected.value, atol=1e-12)
    np.testing.assert_allclose(result.low, expected.low, atol=1e-12)


def test_flipped_influences_add_up_to_the_distance_from_one_half():
    scores, labels, templates, items = study(6)
    for strata in (items, templates):
        value = stratified_auroc(scores, labels, strata)
        observed, influences = item_stratified_influences(
            scores, labels, strata, items, np.arange(15)
        )
        np.testing.assert_allclose(np.linalg.norm(influences, axis=1), 1)
        np.testing.assert_array_equal(np.sign(observed), np.sign(value - 0.5))
    # Within items no mean is shared between them, so nothing is taken off.
    observed, influences = item_stratified_influences(scores, labels, items, items, np.arange(15))
    np.testing.assert_allclose(observed, influences.sum(1))


def test_the_largest_of_many_read_outs_is_tested_within_items():
    rng = np.random.default_rng(7)
    items, labels = np.repeat(np.arange(40), 6), np.tile([0, 1], 120)
    scores = rng.normal(size=(20, 240)) + 5 * rng.normal(size=(20, 40))[:, items]
    scores[4] += labels
    observed, influences = item_stratified_influences(scores, labels, items, items, np.arange(40))
    test = SignFlipTest(np.arange(40), random_signs(40, 999, 0))
    own = test.add_influences(["vector"] * 20, observed, influences)
    p = p_values(observed, test.maxima["vector"])
    alone = [
        p_values(t, np.abs(row @ test.signs)) for t, row in zip(observed, influences, strict=True)
    ]
    np.testing.assert_array_equal(own, alone)
    assert p[4] < 0.01
    assert np.delete(p, 4).min() > 0.05


def test_an_item_with_most_of_the_pairs_makes_the_interval_wider():
    rng = np.random.default_rng(9)
    items, labels = np.repeat(np.arange(8), 4), np.tile([0, 1], 16)
    scores = rng.normal(size=32) + labels
    plain = degrees_of_freedom(labels, items, items)
    assert plain == 7
    more, of_one = np.tile([0, 1], 30), np.full(60, 3)
    labels, items = np.append(labels, more), np.append(items, of_one)
    scores = np.append(scores, rng.normal(size=60) + more)
    assert degrees_of_freedom(labels, items, items) == 1
    result = clustered_stratified_auroc(scores, labels, items, items).auroc
    assert 0 <= result.low < result.value < result.high <= 1


def test_any_number_of_read_outs_is_computed_at_once():
    scores, labels, templates, items = study(8)
    batch = np.stack([scores, -scores])
    result = clustered_stratified_auroc(batch, labels, templates, items).auroc
    assert result.low.shape == (2, 3)
    for row, estimates in zip(batch.reshape(6, -1), result.low.ravel(), strict=True):
        single = clustered_stratified_auroc(row, labels, templates, items).auroc
        assert single.low == pytest.approx(estimates, abs=1e-12)
    np.testing.assert_allclose(result.value[0], 1 - result.value[1], atol=1e-12)


NAMES = ["AUROC within items", "AUROC within templates"]


def test_intervals_cover_the_truth():
    names = [*NAMES, "difference within items", "difference within templates"]
    shares = coverage(names, 300, 20, 0.5)
    assert all(as_aimed_at(share, 300) for share in shares.values()), shares


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_uniform_under_the_null(name):
    for k in (1, 10):
        assert kstest(null_p_values(name, 300, 20, 0.5, k), "uniform").pvalue > 0.001
