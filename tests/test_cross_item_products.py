"""Angles between mean differences without the noise of their items."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_answers import synthetic_answers

from sycophancy_steering.analysis.cross_item_products import (
    ClassSums,
    Direction,
    ItemGroups,
    group_items,
    inner_product,
    jackknife_interval,
    mean_difference_by_item,
    noise_free_cosines,
)
from sycophancy_steering.foundation.arrays import Floats

WIDTH = 6


def paired(folder: Path, seed: int = 0, letters: bool = False, n: int = 30):
    """Pairs about ten items, some of them asked about more often than others."""
    draw = np.random.default_rng(seed)
    items = np.array([f"i{k}" for k in draw.integers(0, 10, n)])
    states = {name: draw.normal(size=(n, WIDTH)) for name in ("matching", "not_matching")}
    states["matching"] += 1
    chosen = np.array(["A", "B"])[draw.integers(0, 2, n)] if letters else None
    return synthetic_answers(folder, states, items, chosen), states, items


def study_of(*items: np.ndarray) -> ItemGroups:
    return group_items({str(item): "f" for of in items for item in np.sort(of)})


def of_rows(values: Floats, items: NDArray[np.str_], study: ItemGroups) -> Direction:
    """A direction made of the differences (n, d_model) themselves."""
    names = np.unique(items)
    places = np.array([study.numbers[str(name)] for name in names])
    at = np.searchsorted(names, items)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, at, values)
    counts = np.bincount(at).astype(float)
    squares = np.bincount(at, (values**2).sum(1)).astype(float)
    totals, numbers = study.leave_out_sums(sums, places), study.leave_out_sums(counts, places)
    along = totals @ totals[0] / np.linalg.norm(totals[0])
    return Direction(
        places, (ClassSums(1.0, sums, counts, squares, squares, totals, numbers, along),)
    )


def between_items(one, items, two, others) -> float:
    """By the definition: the mean of all products of answers about different items."""
    found = [a @ b for (a, i), (b, j) in product(zip(one, items), zip(two, others)) if i != j]  # noqa: B905
    return float(np.mean(found))


def test_products_are_those_of_answers_about_different_items():
    draw = np.random.default_rng(1)
    one, two = draw.normal(size=(14, WIDTH)) + 1, draw.normal(size=(9, WIDTH)) + 1
    items = np.array([f"i{k % 5}" for k in range(14)])
    others = np.array([f"i{k % 4 + 3}" for k in range(9)])  # some shared, some not
    study = study_of(items, others)
    found = inner_product(of_rows(one, items, study), of_rows(two, others, study), study)
    assert found[0] == pytest.approx(between_items(one, items, two, others), rel=1e-9)
    for group in range(int(study.groups.max()) + 1):
        kept, left = (
            np.array([study.groups[study.numbers[str(item)]] != group for item in of])
            for of in (items, others)
        )
        expected = between_items(one[kept], items[kept], two[left], others[left])
        assert found[group + 1] == pytest.approx(expected, rel=1e-9)


def test_a_direction_is_the_mean_difference_whatever_is_evened_out(tmp_path):
    material, states, items = paired(tmp_path, letters=True)
    made = mean_difference_by_item(material, "answer", 0, study_of(items))
    expected = (states["matching"] - states["not_matching"]).mean(0)
    np.testing.assert_allclose(made.vectors[0], expected, atol=1e-6)
    np.testing.assert_allclose(made.influences.sum(0), 0, atol=1e-9)


def test_a_direction_of_two_kinds_is_the_difference_of_their_means(tmp_path):
    draw = np.random.default_rng(2)
    states = draw.normal(size=(40, WIDTH)) + 50  # far from nothing, as real states are
    labels = draw.integers(0, 2, 40).astype(float)
    states[labels == 1] += 1
    items = np.array([f"i{k // 2}" for k in range(40)])
    material = synthetic_answers(tmp_path, {"prompt": states}, items, labels=labels)
    study = study_of(items)
    made = mean_difference_by_item(material, "prompt", 0, study)
    expected = states[labels == 1].mean(0) - states[labels == 0].mean(0)
    np.testing.assert_allclose(made.vectors[0], expected, atol=1e-4)
    np.testing.assert_allclose(made.influences.sum(0), 0, atol=1e-9)
    assert float(noise_free_cosines([made, made], study).values[0, 1, 0]) == pytest.approx(1)


def test_letters_that_a_set_is_balanced_by_are_no_noise(tmp_path):
    draw = np.random.default_rng(3)
    n = 80
    letters = np.array(["A", "B"])[np.arange(n) % 2]
    items = np.array([f"i{k // 4}" for k in range(n)])
    states = {name: draw.normal(size=(n, WIDTH)) * 0.1 for name in ("matching", "not_matching")}
    states["matching"] += np.eye(WIDTH)[0]
    states["matching"] += np.where(letters == "A", 1, -1)[:, None] * 5 * np.eye(WIDTH)[1]
    study = study_of(items)
    made = mean_difference_by_item(
        synthetic_answers(tmp_path, states, items, letters), "answer", 0, study
    )
    noise = (made.vectors[0] ** 2).sum() / inner_product(made, made, study)[0] - 1
    assert noise < 0.01
    raw = of_rows(states["matching"] - states["not_matching"], np.arange(n).astype(str), ItemGroups(
        {str(k): k for k in range(n)}, np.arange(n) % 40
    ))  # fmt: skip
    assert (raw.classes[0].squared_norms.sum() / n) > 20


def studies(true: float, rank: int, noise: float, count: int, seed: int = 0):
    """Pairs of directions at an angle, of 40 items x 2 questions each; `rank` kinds of noise."""
    draw = np.random.default_rng(seed)
    one, aside = np.linalg.qr(draw.normal(size=(40, 2)))[0].T
    two = true * one + np.sqrt(1 - true**2) * aside
    kinds = np.linalg.qr(draw.normal(size=(40, rank)))[0].T * noise / np.sqrt(rank)
    items = np.repeat(np.arange(40), 2).astype(str)
    study = study_of(items, np.char.add("o", items))
    for _ in range(count):
        made = []
        for truth, of in ((one, items), (two, np.char.add("o", items))):
            about = np.repeat(draw.normal(size=(40, rank)), 2, axis=0)
            values = truth + (about + draw.normal(size=(80, rank))) @ kinds
            made.append(of_rows(values, of, study))
        yield made, study


@pytest.mark.parametrize(("true", "rank"), [(0.0, 40), (0.6, 40), (0.6, 10), (0.9, 40), (0.9, 10)])
def test_intervals_of_angles_cover(true, rank):
    held, found = 0, []
    for made, study in studies(true, rank, 1.0, 1000):
        cosines = noise_free_cosines(made, study)
        error = float(cosines.second_order_errors[0, 1])
        area = jackknife_interval(cosines.values[0, 1], 40, error)
        held += bool(area.low <= true <= area.high)
        found.append(float(area.value))
    assert np.mean(found) == pytest.approx(true, abs=0.01)
    assert 0.93 <= held / 1000 <= 0.97, held


@pytest.mark.parametrize("rank", [1, 3])
def test_where_no_item_turns_it_an_angle_is_not_taken_for_sure(rank):
    """All but one direction, and noise of few kinds: the jackknife alone held 84% of truths."""
    held = 0
    for made, study in studies(1.0, rank, 1.0, 300):
        cosines = noise_free_cosines(made, study)
        error = float(cosines.second_order_errors[0, 1])
        area = jackknife_interval(cosines.values[0, 1], 40, error)
        held += bool(area.low <= 1.0 <= area.high)
    assert held / 300 >= 0.93


def test_what_may_be_nothing_but_noise_has_no_angle():
    none = 0
    for (one, _), study in studies(0.0, 40, 1.0, 40):
        lost = of_rows(np.random.default_rng(none).normal(size=(80, 40)), np.arange(80).astype(str),
                       ItemGroups({str(k): k for k in range(80)}, np.arange(80) % 40))  # fmt: skip
        assert np.isfinite(noise_free_cosines([one, one], study).values).all()
        both = noise_free_cosines(
            [lost, lost], ItemGroups({str(k): k for k in range(80)}, np.arange(80) % 40)
        ).values
        none += bool(np.isnan(both).all())
    assert none >= 36


def test_groups_hold_every_familys_items_evenly():
    families = {f"f{k}": "f" for k in range(100)} | {f"g{k}": "g" for k in range(50)}
    study = group_items(families)
    sizes = np.array(
        [
            np.bincount(
                study.groups[[study.numbers[f"{family}{k}"] for k in range(n)]], minlength=40
            )
            for family, n in (("f", 100), ("g", 50))
        ]
    )
    assert np.ptp(sizes, axis=1).max() <= 1
