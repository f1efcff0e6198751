"""Average precision, Brier score and calibration against scikit-learn and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import average_precision_score, brier_score_loss

from sycophancy_steering.statistics.average_precision import average_precision
from sycophancy_steering.statistics.calibration import (
    N_BINS,
    PRIOR_SD,
    brier,
    calibration_error,
    fit_slope,
)


def study(seed: int, n: int = 60, items: int = 12, ties: bool = True, k: int = 4):
    """Scores (k, n), labels (n,) and items (n,) in which answers about one item are alike."""
    draw = np.random.default_rng(seed)
    clusters = draw.integers(0, items, n)
    labels = (draw.random(n) < 0.4).astype(int)
    scores = draw.normal(size=(k, n)) + labels + draw.normal(size=items)[clusters]
    return (np.round(scores) if ties else scores), labels, clusters


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("n", [3, 60])
def test_average_precision_is_that_of_scikit_learn(ties, n):
    for seed in range(20):
        scores, labels, clusters = study(seed, n, ties=ties)
        labels[:2] = 0, 1
        expected = [average_precision_score(labels, each) for each in scores]
        found = average_precision(scores, labels, clusters)
        np.testing.assert_allclose(found.value, expected, rtol=0, atol=1e-12)
        assert (found.low <= found.value).all()
        assert (found.value <= found.high).all()


def test_average_precision_has_the_error_of_small_changes_of_each_items_weight():
    scores, labels, clusters = study(1)
    names, small = np.unique(clusters), 1e-5
    influences = []
    for name in names:
        more, less = (np.where(clusters == name, 1 + sign * small, 1.0) for sign in (1, -1))
        up, down = (
            average_precision_score(labels, scores[0], sample_weight=each) for each in (more, less)
        )
        influences.append((up - down) / (2 * small))
    error = np.sqrt((np.array(influences) ** 2).sum() * len(names) / (len(names) - 1))
    found = average_precision(scores[:1], labels, clusters)
    rarer = min(len(set(clusters[labels == 1])), len(set(clusters[labels == 0])))
    from scipy.stats import t as student

    logit = np.log(found.value / (1 - found.value))
    step = student.ppf(0.975, rarer - 1) * error / (found.value * (1 - found.value))
    np.testing.assert_allclose(found.low, 1 / (1 + np.exp(step - logit)), atol=1e-6)


def test_one_class_has_no_average_precision():
    scores, _, clusters = study(2)
    assert np.isnan(average_precision(scores, np.ones(60, int), clusters).value).all()
    assert np.isnan(average_precision(scores, np.zeros(60, int), clusters).value).all()


def test_one_item_has_an_interval_from_zero_to_one():
    scores, labels, _ = study(2)
    found = average_precision(scores, labels, np.zeros(60, int))
    assert (found.low == 0).all()
    assert (found.high == 1).all()


def test_the_fitted_slope_maximises_the_posterior():
    scores, labels, _ = study(3, ties=False)
    found = fit_slope(scores, labels)
    for each, slope in zip(scores, found.slope, strict=True):
        z = (each - each.mean()) / each.std()
        share = (labels.sum() + 1) / (len(labels) + 2)
        offset = np.log(share / (1 - share))

        def loss(a, z=z, offset=offset):
            odds = offset + a * z
            return np.sum(np.logaddexp(0, odds) - labels * odds) + a**2 / PRIOR_SD**2 / 2

        assert slope == pytest.approx(minimize_scalar(loss, tol=1e-10).x, abs=1e-5)  # type: ignore[attr-defined]


def test_a_perfect_read_out_and_a_constant_one_have_a_fit():
    labels = np.array([0, 0, 1, 1])
    found = fit_slope(np.array([[0.0, 0, 1, 1], [2.0, 2, 2, 2]]), labels)
    probabilities = found.probabilities(np.array([[0.0, 0, 1, 1], [2.0, 2, 2, 2]]))
    assert probabilities[0, :2].max() < 0.1
    assert probabilities[0, 2:].min() > 0.9
    np.testing.assert_allclose(probabilities[1], 0.5)


def test_brier_is_that_of_scikit_learn():
    scores, labels, clusters = study(4)
    probabilities = fit_slope(scores, labels).probabilities(scores)
    expected = [brier_score_loss(labels, each) for each in probabilities]
    found = brier(probabilities, labels, clusters)
    np.testing.assert_allclose(found.value, expected, rtol=0, atol=1e-12)


def test_calibration_error_is_the_mean_gap_of_bins_of_equal_counts():
    draw = np.random.default_rng(5)
    probabilities, labels = draw.random(50), draw.integers(0, 2, 50)
    parts = np.array_split(np.argsort(probabilities), N_BINS)
    expected = sum(
        len(part) / 50 * abs(labels[part].mean() - probabilities[part].mean()) for part in parts
    )
    found = calibration_error(probabilities, labels, np.arange(50))
    assert found.value == pytest.approx(expected, abs=1e-12)


def test_intervals_cover_the_truth_in_93_to_97_of_100_clustered_studies():
    draw, studies, items, each = np.random.default_rng(6), 1000, 40, 5
    clusters = np.repeat(np.arange(items), each)

    def drawn(count: int, items: int):
        """Labels that depend on the item, scores that depend on the label, probabilities off."""
        clusters = np.repeat(np.arange(items), each)
        own = draw.normal(size=(count, items))[:, clusters]
        labels = (draw.random((count, items * each)) < 1 / (1 + np.exp(-own))).astype(int)
        scores = draw.normal(size=labels.shape) + labels + 0.5 * own
        return labels, scores, 1 / (1 + np.exp(-(2.5 * scores - 2.5)))

    labels, scores, probabilities = drawn(1, 200_000)
    far = np.repeat(np.arange(200_000), each)
    truth = {
        "precision": average_precision(scores, labels[0], far).value[0],
        "brier": brier(probabilities, labels[0], far).value[0],
        "calibration": calibration_error(probabilities, labels[0], far).value[0],
    }
    held = dict.fromkeys(truth, 0)
    labels, scores, probabilities = drawn(studies, items)
    for n in range(studies):
        found = {
            "precision": average_precision(scores[n], labels[n], clusters),
            "brier": brier(probabilities[n], labels[n], clusters),
            "calibration": calibration_error(probabilities[n], labels[n], clusters),
        }
        for name, estimate in found.items():
            held[name] += bool(estimate.low <= truth[name] <= estimate.high)
    assert {name: 0.93 <= count / studies <= 0.97 for name, count in held.items()} == dict.fromkeys(
        truth, True
    ), held
