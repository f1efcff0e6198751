"""Steering vectors: each method against its definition, and their files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save
from scipy.optimize import approx_fprime
from sklearn.decomposition import PCA, TruncatedSVD

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.vector_files import read_vectors, write_vectors
from sycophancy_steering.vectors.consistent_search import OptionPairs, consistency_loss
from sycophancy_steering.vectors.contrast import (
    AnswerGroup,
    Contrast,
    MethodNotApplicable,
    normalised,
)
from sycophancy_steering.vectors.logistic_regression import group_folds
from sycophancy_steering.vectors.methods import METHODS, NULLS, PAIRS_ONLY, steering_vector
from sycophancy_steering.vectors.principal_component import first_component_weights


def group(states: np.ndarray, letters: str = "AB") -> AnswerGroup:
    """States of answers to a question each, which say letters in turn."""
    n = len(states)
    said = np.array([letters[k % len(letters)] for k in range(n)]) if letters else np.full(n, "")
    return AnswerGroup(
        ArrayStream.from_array(states), np.array([f"item {k}" for k in range(n)]), said
    )


def contrast(seed: int = 0, paired: bool = True, n: int = 60, width: int = 12) -> Contrast:
    """Prompts far apart from one another, and a cause along one direction."""
    draw = np.random.default_rng(seed)
    prompts, cause = draw.normal(size=(n, width)) * 2, draw.normal(size=width)
    other = prompts + draw.normal(size=(n, width)) * 0.2
    one, two = group(prompts + cause), group(other, "BA")
    return Contrast(one, two, paired, np.random.default_rng(seed))


def between(one: np.ndarray, two: np.ndarray, paired: bool = False) -> Contrast:
    return Contrast(group(one), group(two, "BA"), paired, np.random.default_rng(0))


def everything(given: Contrast) -> tuple[np.ndarray, np.ndarray]:
    """All states, and 1 for sycophantic ones."""
    blocks = [*given.labelled_blocks()]
    labels = [np.full(len(block), label) for _, block, label in blocks]
    return np.concatenate([block for _, block, _ in blocks]), np.concatenate(labels)


def cosine(one, other) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_mean_difference_is_the_difference_of_means():
    given = contrast()
    expected = given.sycophantic.activations.to_array().mean(
        0
    ) - given.other.activations.to_array().mean(0)
    found = steering_vector("mean_difference", given)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_pca_of_differences_is_uncentred_so_it_keeps_the_mean_difference():
    given = contrast()
    differences = given.sycophantic.activations.to_array() - given.other.activations.to_array()
    expected = TruncatedSVD(1, algorithm="arpack", random_state=0).fit(differences).components_[0]  # type: ignore[index]
    found = METHODS["pca"](given)
    assert abs(cosine(found, expected)) == pytest.approx(1, abs=1e-9)
    assert cosine(found, differences.mean(0)) > 0.99
    centred = np.linalg.svd(differences - differences.mean(0))[2][0]
    assert abs(cosine(centred, differences.mean(0))) < 0.9


@pytest.mark.parametrize("name", [name for name in METHODS if name not in NULLS])
def test_the_sign_is_fixed_by_the_pairs(name):
    given = contrast()
    turned = replace(
        contrast(), sycophantic=given.other, other=given.sycophantic, rng=np.random.default_rng(0)
    )
    found = steering_vector(name, given)
    assert cosine(found, given.mean_difference) > 0
    assert cosine(found, steering_vector(name, turned)) == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "paired"),
    [(name, True) for name in METHODS]
    + [(name, False) for name in METHODS if name not in PAIRS_ONLY],
)
def test_every_vector_has_the_length_of_the_mean_difference_and_is_repeatable(name, paired):
    one, two = (steering_vector(name, contrast(3, paired)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    length = np.linalg.norm(contrast(3, paired).mean_difference)
    assert np.linalg.norm(one) == pytest.approx(length, rel=1e-5)
    assert one.dtype == np.float32


def test_the_probe_finds_a_direction_that_the_variance_hides():
    draw = np.random.default_rng(0)
    labels = np.repeat([1, 0], 300)
    states = draw.normal(size=(600, 5)) * [30, 1, 1, 1, 1]
    states[:, 1] += 1.5 * labels
    given = between(states[:300], states[300:])
    found = METHODS["probe"](given)
    assert cosine(found, np.eye(5)[1]) > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_folds_hold_out_all_rows_of_an_item(seed):
    rng = np.random.default_rng(seed)
    for count in (2, 4, 5, 30):
        items = np.concatenate([np.arange(count), rng.integers(0, count, 80)]).astype(str)
        rng.shuffle(items)
        held_out = group_folds(items, 5)
        assert len(held_out) == min(5, count)
        assert (held_out.sum(0) == 1).all()
        for item in np.unique(items):
            assert len(np.unique(held_out[:, items == item], axis=1).T) == 1


def test_one_odd_pair_does_not_turn_the_median():
    given = contrast()
    states = given.sycophantic.activations.to_array()
    states[0] += 1e4
    odd = replace(
        given, sycophantic=replace(given.sycophantic, activations=ArrayStream.from_array(states))
    )
    assert cosine(METHODS["median_difference"](odd), given.mean_difference) > 0.95
    assert cosine(METHODS["mean_difference"](odd), given.mean_difference) < 0.7


def test_in_context_vectors_equal_those_of_the_authors_code():
    layers = [contrast(seed) for seed in (1, 2, 3)]
    side_by_side = np.concatenate([each.differences.to_array() for each in layers], axis=1)
    fitted = PCA(1).fit(side_by_side)
    component = np.asarray(fitted.components_)[0]
    component *= np.sign(component @ fitted.mean_)
    expected = (component + fitted.mean_).reshape(3, -1)
    along = first_component_weights([each.differences for each in layers])
    for given, part in zip(layers, expected, strict=True):
        found = METHODS["in_context_vector"](replace(given, pair_weights=lambda: along))
        np.testing.assert_allclose(found, part, rtol=1e-9)


@pytest.mark.parametrize("name", ["lda", "leace"])
def test_a_whitened_direction_ignores_what_varies_for_other_reasons(name):
    draw = np.random.default_rng(0)
    noise = draw.normal(size=(4000, 5)) @ np.diag([9.0, 1, 1, 1, 1])
    noise[:, 1] += 0.9 * noise[:, 0]
    given = between(noise[:2000] + np.array([3.0, 1, 0, 0, 0]), noise[2000:])
    within = [group.activations.to_array() - group.activations.mean for group in given.groups]
    covariance = np.cov(np.concatenate(within).T)
    expected = np.linalg.solve(covariance, given.mean_difference)
    assert cosine(METHODS[name](given), expected) > 0.99
    assert cosine(given.mean_difference, expected) < 0.9


def test_no_linear_trace_is_left_once_the_leace_direction_is_erased():
    draw = np.random.default_rng(1)
    states = draw.normal(size=(8000, 8)) @ draw.normal(size=(8, 8))
    given = between(states[:4000] + draw.normal(size=8), states[4000:])
    reads = METHODS["leace"](given)
    pooled, labels = everything(given)
    covariance = np.cov(pooled.T)
    along = covariance @ reads / (reads @ covariance @ reads)
    erased = pooled - (pooled @ reads)[:, None] * along
    gap = erased[labels == 1].mean(0) - erased[labels == 0].mean(0)
    assert np.linalg.norm(gap) < 0.05 * np.linalg.norm(given.mean_difference)


def test_consistent_search_finds_the_truth_behind_a_louder_letter():
    draw, n, width = np.random.default_rng(2), 400, 10
    letter, truth = np.eye(width)[0] * 8, np.eye(width)[1] * 2
    says_a = draw.random(n) < 0.5
    prompts = draw.normal(size=(n, width))
    one, two = (np.where(says_a[:, None] == flag, letter, -letter) for flag in (True, False))
    noise = draw.normal(size=(2, n, width)) * 0.3
    letters = np.where(says_a, "A", "B"), np.where(says_a, "B", "A")
    items = np.array([f"item {k}" for k in range(n)])
    given = Contrast(
        AnswerGroup(ArrayStream.from_array(prompts + one + truth + noise[0]), items, letters[0]),
        AnswerGroup(ArrayStream.from_array(prompts + two - truth + noise[1]), items, letters[1]),
        paired=True,
        rng=np.random.default_rng(0),
    )
    found = METHODS["ccs"](given)
    assert cosine(found, truth) > 0.8
    assert abs(cosine(METHODS["letter"](given), letter)) > 0.95
    assert abs(cosine(METHODS["letter"](given), truth)) < 0.2


def test_the_gradient_of_consistent_search_is_that_of_its_loss():
    given = contrast()
    one, two = (group.activations for group in given.groups)
    pairs = OptionPairs(one, two, np.arange(60) % 2 == 0)
    means = pairs.option(0).mean, pairs.option(1).mean
    sd = np.linspace(1, 2, 12)
    weights = np.random.default_rng(0).normal(size=(1, 13)) / 4

    def loss(point: np.ndarray) -> float:
        return float(consistency_loss(pairs, means, sd, point[None])[0][0])

    gradient = consistency_loss(pairs, means, sd, weights)[1][0]
    np.testing.assert_allclose(
        gradient, np.asarray(approx_fprime(weights[0], loss, 1e-7)), atol=1e-5
    )


def test_the_letter_needs_two_letters():
    states = contrast().sycophantic.activations.to_array()
    given = Contrast(group(states, "A"), group(states, ""), True, np.random.default_rng(0))
    with pytest.raises(MethodNotApplicable, match="no answers with two different letters"):
        steering_vector("letter", given)


def test_shuffled_pairs_keep_nothing_but_noise():
    given = contrast(n=2000)
    size = np.linalg.norm(METHODS["shuffled"](given)) / np.linalg.norm(given.mean_difference)
    assert size < 0.1


@pytest.mark.parametrize("how", ["none", "unit", "standard"])
def test_a_direction_of_normalised_activations_has_the_same_projections_on_the_originals(how):
    given = contrast()
    changed, back = normalised(given, how)
    direction = METHODS["mean_difference"](changed)
    states, there = everything(given)[0], everything(changed)[0]
    if how == "unit":
        there = there * np.linalg.norm(states, axis=1, keepdims=True)
        np.testing.assert_allclose(np.linalg.norm(everything(changed)[0], axis=1), 1)
    if how == "standard":
        np.testing.assert_allclose(everything(changed)[0].std(0), 1)
    np.testing.assert_allclose(states @ (direction * back), there @ direction)


def test_vectors_are_read_as_written_and_written_to_the_same_bytes(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    for name in ("one", "two"):
        write_vectors(tmp_path / name, vectors, {"b": 1, "a": [2]})
    found, about = read_vectors(tmp_path / "one", d_model=4)
    np.testing.assert_array_equal(found, vectors)
    assert about == {"a": [2], "b": 1}
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_vector_of_another_width_is_refused(tmp_path):
    write_vectors(tmp_path / "v.safetensors", np.ones((2, 4), np.float32), {})
    with pytest.raises(
        InputError, match=r"v\.safetensors: vectors of width 4, .* activations have 8"
    ):
        read_vectors(tmp_path / "v.safetensors", d_model=8)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "v.safetensors").write_bytes(b"not a tensor in sight")
    with pytest.raises(InputError, match=r"v\.safetensors: not readable as steering vectors"):
        read_vectors(tmp_path / "v.safetensors")


@pytest.mark.parametrize(
    ("number", "reason"), [(0.0, "is zero"), (np.nan, "has NaN"), (np.inf, "has NaN or infinite")]
)
def test_a_vector_without_a_direction_is_refused_with_its_layer(tmp_path, number, reason):
    vectors = np.ones((3, 4), np.float32)
    path = tmp_path / "v.safetensors"
    write_vectors(path, vectors, {})
    vectors[2] = number
    with pytest.raises(InputError, match=rf"w\.safetensors: layer 2: the vector {reason}"):
        write_vectors(tmp_path / "w.safetensors", vectors, {})
    assert not (tmp_path / "w.safetensors").exists()
    path.write_bytes(save({f"layer_{n:02d}": vector for n, vector in enumerate(vectors)}))
    with pytest.raises(InputError, match=rf"v\.safetensors: layer 2: the vector {reason}"):
        read_vectors(path)
