"""Coordinates far larger than the others: named, and left out on request."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from synthetic_answers import synthetic_answers

from sycophancy_steering.analysis.large_dimensions import large_dimension_rows
from sycophancy_steering.config.variants import Position, Variant
from sycophancy_steering.foundation.large_dimensions import large_dimensions, massive_activations
from sycophancy_steering.report.large_dimensions import large_dimensions_section, layer_ranges
from sycophancy_steering.report.templates import render
from sycophancy_steering.schemas.analysis import LARGE_DIMENSIONS
from sycophancy_steering.schemas.comparison import DIFFERENCES
from sycophancy_steering.vectors.contrast import Contrast
from sycophancy_steering.vectors.methods import METHODS, steering_vector

N, WIDTH, PLANTED = 80, 24, 7


def planted(
    folder, factor: float = 1000, position: Position = "answer"
) -> tuple[Contrast, np.ndarray]:
    """Answers whose coordinate `PLANTED` is noise, `factor` times the others; and their cause."""
    rng = np.random.default_rng(0)
    cause = rng.normal(size=WIDTH)
    cause[PLANTED] = 0
    prompts = rng.normal(size=(N, WIDTH))
    activations = {
        "matching": prompts + cause + 0.2 * rng.normal(size=(N, WIDTH)),
        "not_matching": prompts + 0.2 * rng.normal(size=(N, WIDTH)),
        "prompt": prompts + np.outer(np.arange(N) % 2, cause),
    }
    for rows in activations.values():
        rows[:, PLANTED] = factor * rng.normal(size=N)
    items = [f"item {n}" for n in range(N)]
    answers = synthetic_answers(folder, activations, items, labels=(np.arange(N) % 2).astype(float))
    return answers.contrast(Variant("mean_difference", position), 0), cause


def cosine(one, other) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_large_and_massive_are_what_they_are_defined_to_be():
    magnitudes = np.array([1.0, 1.0, 1.0, 1.0, 20.0, 20.1])
    np.testing.assert_array_equal(np.flatnonzero(large_dimensions(magnitudes)), [5])
    rows = np.array([[0.1, -0.1, 0.1, -101.0], [0.1, 0.1, 0.1, 99.0], [0.2, 0.2, 0.2, 101.0]])
    np.testing.assert_array_equal(np.argwhere(massive_activations(rows)), [[0, 3]])


def test_noise_alone_has_no_large_coordinate():
    magnitudes = np.abs(np.random.default_rng(0).normal(size=(50, 4096))).mean(0)
    assert not large_dimensions(magnitudes).any()


@pytest.mark.parametrize("position", ["answer", "prompt"])
def test_a_planted_coordinate_is_named_with_its_share_of_the_mean_difference(tmp_path, position):
    contrast, _ = planted(tmp_path, position=position)
    (row,) = large_dimension_rows(contrast)
    one, two = (group.activations.to_array() for group in contrast.groups)
    everything = np.abs(np.concatenate([one, two]))
    difference = one.mean(0) - two.mean(0)
    noise = (
        (one - two).var(0) / len(one)
        if position == "answer"
        else one.var(0) / len(one) + two.var(0) / len(two)
    )
    massive = (everything > 100) & (everything >= 1000 * np.median(everything, 1, keepdims=True))
    assert row == {
        "dimension": PLANTED,
        "n": len(everything),
        "magnitude": pytest.approx(everything[:, PLANTED].mean()),
        "times_median": pytest.approx(
            everything[:, PLANTED].mean() / np.median(everything.mean(0))
        ),
        "massive_share": pytest.approx(massive[:, PLANTED].mean()),
        "difference_share": pytest.approx(difference[PLANTED] ** 2 / (difference**2).sum()),
        "noise_share": pytest.approx(noise[PLANTED] / noise.sum()),
    }
    assert row["difference_share"] > 0.99 and 0.1 < row["massive_share"] < 0.9


@pytest.mark.parametrize("position", ["answer", "prompt"])
def test_a_robust_vector_is_not_about_the_planted_coordinate(tmp_path, position):
    contrast, cause = planted(tmp_path, position=position)
    plain, robust = (
        steering_vector("mean_difference", contrast, how) for how in ("none", "robust")
    )
    assert abs(cosine(plain, cause)) < 0.1
    assert robust[PLANTED] == 0
    assert cosine(robust, cause) > 0.9


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"letter"}))
def test_every_method_leaves_out_the_planted_coordinate(tmp_path, method):
    contrast, _ = planted(tmp_path)
    assert steering_vector(method, contrast, "robust")[PLANTED] == 0


def test_a_constant_large_coordinate_is_named_though_it_moves_no_mean_difference(tmp_path):
    contrast, _ = planted(tmp_path, factor=0)
    shifted = contrast.map_activations(lambda block: block + 500 * np.eye(WIDTH)[PLANTED])
    (row,) = large_dimension_rows(shifted)
    assert (row["dimension"], row["difference_share"]) == (PLANTED, pytest.approx(0))


def test_without_a_large_coordinate_robust_changes_nothing(tmp_path):
    contrast, _ = planted(tmp_path, factor=1)
    assert large_dimension_rows(contrast) == []
    plain, robust = (
        steering_vector("mean_difference", contrast, how) for how in ("none", "robust")
    )
    np.testing.assert_array_equal(plain, robust)


def test_the_report_names_coordinates_and_what_leaving_them_out_does():
    rows = [
        ("own", "answer", layer, 7, 40, 30.0, times, 0.0, 0.25, 0.5)
        for layer, times in [(0, 25.0), (1, 90.0), (2, 40.0), (5, 30.0)]
    ]
    dimensions = pl.DataFrame(rows, schema=LARGE_DIMENSIONS.columns, orient="row")
    differences = pl.DataFrame(
        [("m", "f", "own/pca", "own/pca-robust", 0.02, -0.1, 0.14)],
        schema=DIFFERENCES.columns,
        orient="row",
    )
    section = large_dimensions_section(dimensions, differences, "own/pca", 1)
    assert section
    text = " ".join(render(section).split())
    assert "| 7 | answer | 0 to 2, 5 | 90 (layer 1) | 0% | 25% | 50% |" in text
    assert "None of them reaches the size of massive activations" in text
    assert "(`own/pca-robust`), AUROC on `test` changes by 0.02 [-0.10, 0.14] (f)." in text
    assert large_dimensions_section(dimensions.clear(), differences, "own/pca", 1) is None


def test_layers_in_words():
    assert layer_ranges([3]) == "3"
    assert layer_ranges([0, 1, 2, 5, 7, 8]) == "0 to 2, 5, 7 to 8"
