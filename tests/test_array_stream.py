"""Streamed arrays and fits to them, against the same in memory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

import sycophancy_steering.foundation.array_stream
import sycophancy_steering.vectors.principal_component
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.vectors import consistent_search, logistic_regression
from sycophancy_steering.vectors.contrast import AnswerGroup, Contrast
from sycophancy_steering.vectors.lbfgs import minimise_batch
from sycophancy_steering.vectors.logistic_regression import (
    INVERSE_PENALTIES,
    fit_probe,
    logistic_losses,
    logistic_regressions,
    standardised,
)
from sycophancy_steering.vectors.methods import METHODS
from sycophancy_steering.vectors.principal_component import first_component_weights


def states(n: int = 700, width: int = 6, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, width)) @ draw.normal(size=(width, width)) + 30


def cut(values: np.ndarray, size: int) -> tuple[ArrayStream, list[int]]:
    """A stream in blocks of `size`, and a count of how often it was read."""
    reads: list[int] = []

    def read():
        reads.append(1)
        yield from (values[at : at + size] for at in range(0, len(values), size))

    return ArrayStream(len(values), read), reads


@pytest.fixture(params=[64, 700])
def given(request) -> tuple[np.ndarray, ArrayStream]:
    values = states()
    return values, cut(values, request.param)[0]


def test_statistics_of_a_stream_are_those_of_the_array(given):
    values, stream = given
    np.testing.assert_array_equal(stream.to_array(), values)
    np.testing.assert_allclose(stream.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stream.variance, values.var(0), rtol=1e-12)
    np.testing.assert_allclose(stream.covariance, np.cov(values.T, ddof=0), rtol=1e-9)
    np.testing.assert_array_equal(stream.median(), np.median(values, axis=0))
    weights = np.random.default_rng(1).normal(size=(3, len(values)))
    np.testing.assert_allclose(stream.weighted_sums(weights), weights @ values, rtol=1e-9)
    np.testing.assert_allclose(stream.dot(values[0]), values @ values[0], rtol=1e-12)


def test_selected_rows_may_repeat(given):
    values, stream = given
    wanted = np.array([0, 3, 3, 3, 63, 64, 65, 400, 699, 699])
    np.testing.assert_array_equal(stream.select_rows(wanted).to_array(), values[wanted])
    other = ArrayStream.from_array(values[::-1].copy())
    if sum(1 for _ in stream.blocks()) == sum(1 for _ in other.blocks()):
        np.testing.assert_array_equal(stream.subtract(other).to_array(), values - values[::-1])


def test_short_streams_are_read_once_and_long_ones_on_every_pass(monkeypatch):
    few, reads = cut(states(), 64)
    for _ in range(3):
        few.to_array()
    assert len(reads) == 1
    monkeypatch.setattr(sycophancy_steering.foundation.array_stream, "CACHE_BYTES", 700 * 6 * 8 - 1)
    many, reads = cut(states(), 64)
    np.testing.assert_array_equal(many.median(), np.median(states(), axis=0))
    before = len(reads)
    for _ in range(3):
        many.to_array()
    assert len(reads) == before + 3


def contrast(n: int = 150, width: int = 5) -> Contrast:
    draw = np.random.default_rng(3)
    items = np.array([f"item {k // 3}" for k in range(n)])
    letters = np.array(["A", "B"])[np.arange(n) % 2]
    other = draw.normal(size=(n, width)) * [1, 2, 3, 4, 50]
    gap = np.array([1.0, 0.5, 0, 0, 0])
    one = draw.normal(size=(n, width)) * [1, 2, 3, 4, 50] + gap
    one, two = (AnswerGroup(cut(each, 32)[0], items, letters) for each in (one, other))
    return Contrast(one, two, True, np.random.default_rng(0))


def together(given: Contrast) -> tuple[np.ndarray, np.ndarray]:
    values = np.concatenate([group.activations.to_array() for group in given.groups])
    return values, np.repeat([1, 0], [*map(len, given.groups)])


def test_logistic_regressions_are_those_of_scikit_learn():
    given = contrast()
    values, labels = together(given)
    standard = (values - values.mean(0)) / values.std(0)
    draw = np.random.default_rng(5)
    counts = draw.random((4, len(values))) < 0.8
    strengths = np.array([1e-3, 1e-1, 1.0, 10.0])
    found = logistic_regressions(standardised(given), counts, strengths)
    losses, _ = logistic_losses(standardised(given), found, ~counts)
    for k, strength in enumerate(strengths):
        model = LogisticRegression(C=strength, tol=1e-12, max_iter=10_000)
        model.fit(standard[counts[k]], labels[counts[k]])
        expected = np.append(np.ravel(model.coef_), model.intercept_)
        np.testing.assert_allclose(found[k], expected, atol=1e-6)
        odds = model.decision_function(standard[~counts[k]]) * (2 * labels[~counts[k]] - 1)
        assert losses[k] == pytest.approx(np.logaddexp(0, -odds).mean(), abs=1e-7)


def test_logistic_regressions_converge_to_a_zero_gradient():
    given = standardised(contrast())
    n = len(given.contrast)
    everything = np.ones((1, n), dtype=bool)
    weights = logistic_regressions(given, everything, np.array([1.0]))
    gradient = logistic_losses(given, weights, everything)[1]
    gradient[:, :-1] += weights[:, :-1] / n
    assert np.abs(gradient).max() < 1e-8


def test_equal_penalties_are_decided_for_the_stronger(monkeypatch):
    given = contrast()
    losses = np.tile([0.5 * (1 + 1e-12), 0.5, 0.5 * (1 - 1e-12), 0.6, 0.6], 5)
    monkeypatch.setattr(logistic_regression, "logistic_losses", lambda *_: (losses, 0))
    chosen = []
    monkeypatch.setattr(
        logistic_regression,
        "logistic_regressions",
        lambda _, __, penalties, *___: chosen.append(penalties) or [penalties],
    )
    fit_probe(given)
    assert chosen[-1] == INVERSE_PENALTIES[0]


@pytest.mark.parametrize("name", ["probe", "ccs"])
def test_fits_in_the_space_of_few_answers_are_those_in_all_coordinates(monkeypatch, name):
    draw = np.random.default_rng(4)
    scale = np.geomspace(5, 0.2, 40)
    items, letters = np.array([f"item {k // 2}" for k in range(16)]), np.array(["A", "B"] * 8)
    shift = draw.normal(size=40) * scale
    one, two = (
        AnswerGroup(ArrayStream.from_array(draw.normal(size=(16, 40)) * scale + gap), items, of)
        for gap, of in ((shift, letters), (-shift, letters[::-1]))
    )

    def direction() -> np.ndarray:
        return METHODS[name](Contrast(one, two, True, np.random.default_rng(0)))

    inside = direction()
    # A basis of all coordinates changes nothing but the number of them.
    for place in (logistic_regression, consistent_search):
        monkeypatch.setattr(place, "row_space", lambda rows: np.eye(rows.shape[1]))
    np.testing.assert_allclose(inside, direction(), rtol=1e-5, atol=1e-7)
    assert np.abs(inside).max() > 0.01


@pytest.mark.parametrize("name", [name for name in METHODS if name != "random"])
def test_vectors_hardly_move_when_activations_change_by_rounding(name):
    """As they do on another processor: by about 1e-6 of their length, in float32."""
    rng = np.random.default_rng(1)
    given = contrast()

    def rounded(block: np.ndarray) -> np.ndarray:
        size = np.sqrt((block**2).mean(1, keepdims=True))
        return block + 1e-6 * size * rng.standard_normal(block.shape)

    moved = Contrast(
        *(
            AnswerGroup(
                ArrayStream.from_array(rounded(group.activations.to_array())),
                group.items,
                group.letters,
            )
            for group in given.groups
        ),
        paired=True,
        rng=np.random.default_rng(0),
    )
    one, two = METHODS[name](given), METHODS[name](moved)
    assert 1 - one @ two / np.linalg.norm(one) / np.linalg.norm(two) < 1e-6


def test_lda_is_that_of_scikit_learn():
    given = contrast()
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(*together(given))
    np.testing.assert_allclose(METHODS["lda"](given), np.ravel(model.coef_), rtol=1e-6)


def test_the_first_component_is_the_same_by_gram_matrix_and_by_lanczos(monkeypatch):
    layers = [cut(states(200, 7, seed), 64)[0] for seed in (1, 2, 3)]
    exact = first_component_weights(layers)
    monkeypatch.setattr(sycophancy_steering.vectors.principal_component, "MAX_GRAM_ROWS", 100)
    np.testing.assert_allclose(
        first_component_weights(layers), exact, atol=1e-6 * np.abs(exact).max()
    )


def test_functions_minimised_side_by_side_reach_their_own_minima():
    starts = np.random.default_rng(0).normal(size=(6, 4))

    def losses(points: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert len(points) == len(which)
        scale = 1.0 + which  # each its own function, a valley that bends
        values = np.array([rosen(point) for point in points]) * scale
        return values, np.stack([rosen_der(point) for point in points]) * scale[:, None]

    points, values = minimise_batch(losses, starts, gradient_tolerance=1e-7, relative_tolerance=0)
    for point, value in zip(points, values, strict=True):
        local = np.array([-0.7756, 0.6130, 0.3821, 0.1460])  # the other minimum there is
        assert min(np.abs(point - 1).max(), np.abs(point - local).max()) < 1e-3
        assert value < 40
    assert (values < 1e-9).any()
