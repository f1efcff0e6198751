"""Every statistic against its definition or another library's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import pointbiserialr
from sklearn.metrics import roc_auc_score

from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics import estimates
from sycophancy_steering.statistics.auroc import (
    auroc,
    clustered_auroc,
    n_items_of_rarer_class,
    simultaneous_intervals,
)
from sycophancy_steering.statistics.correlation import clustered_correlation
from sycophancy_steering.statistics.grader_correction import (
    null_without_grader_error,
    without_grader_error,
)
from sycophancy_steering.statistics.permuted_labels import permuted_auroc_range
from sycophancy_steering.statistics.ranks import tied_ranks


def study(seed: int, n: int = 60, items: int = 12, ties: bool = True):
    """Scores (5, n), labels (n,) and items (n,) in which answers about one item are alike."""
    draw = np.random.default_rng(seed)
    clusters = draw.integers(0, items, n)
    labels = (draw.random(n) < 0.5).astype(int)
    scores = draw.normal(size=(5, n)) + 0.8 * labels + draw.normal(size=items)[clusters]
    return (np.round(scores) if ties else scores), labels, clusters


def test_auroc_counts_ties_as_half_as_scikit_learn_does():
    for seed in range(20):
        scores, labels, _ = study(seed)
        expected = [roc_auc_score(labels, each) for each in scores]
        np.testing.assert_allclose(auroc(scores, labels), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(7,), (3, 40), (2, 3, 11), (4, 1), (2, 0)])
def test_ranks_are_those_of_scipy(shape):
    draw = np.random.default_rng(0)
    for scores in (draw.integers(0, 5, shape).astype(float), draw.normal(size=shape)):
        np.testing.assert_array_equal(tied_ranks(scores), stats.rankdata(scores, axis=-1))
    if scores.size:
        scores[..., -1] = np.nan
        np.testing.assert_array_equal(tied_ranks(scores), stats.rankdata(scores, axis=-1))


def test_auroc_of_one_class_is_undefined():
    assert np.isnan(auroc(np.arange(4.0), np.ones(4, int)))


def test_auroc_of_a_constant_score_is_a_half():
    assert auroc(np.zeros(6), np.array([1, 0, 1, 0, 0, 0])) == 0.5


def placements(scores, labels, clusters):
    """Obuchowski's variance by its definition, pair by pair."""
    pos, neg = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wins = np.array(
        [[(scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]) for j in neg] for i in pos]
    )
    area = wins.mean()
    sums = {}
    for name in set(clusters.tolist()):
        up = (wins.mean(1)[clusters[pos] == name] - area).sum() / len(pos)
        down = (wins.mean(0)[clusters[neg] == name] - area).sum() / len(neg)
        sums[name] = up + down
    return area, sum(s**2 for s in sums.values()) * len(sums) / (len(sums) - 1)


def test_interval_is_that_of_the_placements_summed_by_item():
    from scipy.stats import t

    for seed in range(10):
        scores, labels, clusters = study(seed)
        found = clustered_auroc(scores, labels, clusters)
        for k, each in enumerate(scores):
            area, variance = placements(each, labels, clusters)
            rarer = min(len(set(clusters[labels == value])) for value in (0, 1))
            step = t.ppf(0.975, rarer - 1) * np.sqrt(variance) / (area * (1 - area))
            logit = np.log(area / (1 - area))
            assert found.value[k] == pytest.approx(area, abs=1e-12)
            assert found.low[k] == pytest.approx(1 / (1 + np.exp(-(logit - step))), abs=1e-12)
            assert found.high[k] == pytest.approx(1 / (1 + np.exp(-(logit + step))), abs=1e-12)


def test_interval_covers_the_truth_in_93_to_97_of_100_clustered_studies():
    def draw_study(draw, items):
        lean = draw.normal(size=items) * 0.5
        item = np.repeat(np.arange(items), 10)
        labels = (draw.random(len(item)) < 1 / (1 + np.exp(-lean[item]))).astype(int)
        level = draw.normal(size=items)[item] * 0.5
        return labels + level + draw.normal(size=len(item)) * 0.8, labels, item

    draw = np.random.default_rng(1)
    truth = auroc(*draw_study(draw, 20000)[:2])
    held = 0
    for _ in range(1000):
        found = clustered_auroc(*draw_study(draw, 24))
        held += int(found.low <= truth <= found.high)
    assert 930 <= held <= 970


def test_simultaneous_intervals_are_those_of_a_higher_level(monkeypatch):
    scores, labels, clusters = study(4)
    scores[0], scores[1] = labels, -labels  # AUROC 1 and 0
    rarer = np.full(5, n_items_of_rarer_class(labels, clusters))
    found = simultaneous_intervals(clustered_auroc(scores, labels, clusters), rarer, 12)
    monkeypatch.setattr(estimates, "CONFIDENCE", 0.95 ** (1 / 12))
    expected = clustered_auroc(scores, labels, clusters)
    np.testing.assert_allclose(found.low, expected.low, rtol=1e-9)
    np.testing.assert_allclose(found.high, expected.high, rtol=1e-9)


def test_simultaneous_intervals_cover_jointly_where_single_ones_do_not():
    draw, studies = np.random.default_rng(9), 300
    clusters, labels = np.arange(80) // 2, np.arange(80) % 2
    alone = together = 0
    for _ in range(studies):
        scores = draw.normal(size=(20, 80)) + draw.normal(size=(20, 40))[:, clusters]
        area = clustered_auroc(scores, labels, clusters)
        wider = simultaneous_intervals(
            area, np.full(20, n_items_of_rarer_class(labels, clusters)), 20
        )
        alone += bool(((area.low <= 0.5) & (area.high >= 0.5)).all())
        together += bool(((wider.low <= 0.5) & (wider.high >= 0.5)).all())
    assert alone / studies < 0.5
    assert together / studies >= 0.93


def test_one_simultaneous_interval_is_the_plain_one():
    scores, labels, clusters = study(5)
    area = clustered_auroc(scores, labels, clusters)
    found = simultaneous_intervals(area, np.full(5, n_items_of_rarer_class(labels, clusters)), 1)
    np.testing.assert_allclose([found.low, found.high], [area.low, area.high], rtol=1e-9)


def test_a_perfect_order_has_an_interval_with_width():
    scores, labels = np.arange(20.0), np.repeat([0, 1], 10)
    found = clustered_auroc(scores, labels, np.arange(20))
    assert found.value == 1
    assert found.high == 1
    assert found.low == pytest.approx(0.025 ** (1 / 10))
    upside_down = clustered_auroc(-scores, labels, np.arange(20))
    assert (upside_down.value, upside_down.low) == (0, 0)
    assert upside_down.high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_one_item_has_an_interval_from_zero_to_one():
    scores, labels, _ = study(0)
    found = clustered_auroc(scores, labels, np.zeros(len(labels), int))
    assert (found.low == 0).all()
    assert (found.high == 1).all()


def test_correlation_equals_scipy_and_its_interval_widens_with_clustering():
    scores, labels, _ = study(3, n=400, ties=False)
    alone = clustered_correlation(scores, labels, np.arange(400))
    for k, each in enumerate(scores):
        assert alone.value[k] == pytest.approx(pointbiserialr(labels, each)[0], abs=1e-12)
    doubled = clustered_correlation(
        np.tile(scores, 2), np.tile(labels, 2), np.tile(np.arange(400), 2)
    )
    # The same answers twice under the same items are no more evidence than once.
    np.testing.assert_allclose(doubled.low, alone.low, atol=1e-9)
    assert (
        clustered_correlation(np.tile(scores, 2), np.tile(labels, 2), np.arange(800)).low
        > alone.low
    ).all()


def test_correlation_with_a_constant_is_undefined():
    _, labels, clusters = study(0)
    assert np.isnan(clustered_correlation(np.ones(len(labels)), labels, clusters).value)


def test_shuffled_labels_give_aurocs_around_a_half():
    scores, labels, _ = study(5, n=200)
    low, high = permuted_auroc_range(scores, labels, 400, seed=0)
    assert ((low > 0.35) & (low < 0.5) & (high > 0.5) & (high < 0.65)).all()


def test_an_auroc_corrected_for_grader_error_is_unbiased_and_its_interval_covers():
    """500 studies: a judge of known error rates, some answers graded by hand as well."""
    draw, covered, values = np.random.default_rng(5), 0, []
    truth_of = stats.norm.cdf(1 / np.sqrt(2))  # scores of the two classes one sd apart
    for _ in range(500):
        truth = draw.integers(0, 2, 400)
        scores = draw.normal(size=400) + truth
        judged = np.where(draw.random(400) < np.where(truth == 1, 0.15, 0.25), 1 - truth, truth)
        seen = slice(0, 100)
        noise = GraderError(
            positive=int((judged[seen] == 1).sum()),
            positive_wrong=int(((judged == 1) & (truth == 0))[seen].sum()),
            negative=int((judged[seen] == 0).sum()),
            negative_wrong=int(((judged == 0) & (truth == 1))[seen].sum()),
        )
        area = clustered_auroc(scores, judged, np.arange(400))
        fixed = without_grader_error(area, noise)
        covered += bool(fixed.low <= truth_of <= fixed.high)
        values.append(float(fixed.value))
        assert fixed.high - fixed.low > area.high - area.low
    assert np.mean(values) == pytest.approx(truth_of, abs=0.01)
    assert covered / 500 >= 0.93


def test_a_grader_no_better_than_chance_leaves_an_interval_from_zero_to_one():
    area = clustered_auroc(np.arange(40.0), np.arange(40) % 2, np.arange(40))
    known = without_grader_error(area, GraderError(10, 5, 10, 5))
    assert (known.low, known.high) == (0, 1)
    nothing = clustered_auroc(np.arange(4.0), np.ones(4, int), np.arange(4))
    assert np.isnan(without_grader_error(nothing, GraderError(10, 5, 10, 5)).value)


def test_nulls_are_corrected_to_the_scale_of_the_estimate():
    noise = GraderError(100, 20, 100, 20)
    area = clustered_auroc(np.arange(400.0) % 7, np.arange(400) % 2, np.arange(400))
    fixed = without_grader_error(area, noise)
    assert null_without_grader_error(area.value, noise) == pytest.approx(fixed.value, abs=0.01)
    assert null_without_grader_error(np.array([0.35, 0.65]), noise) == pytest.approx([0.25, 0.75])
