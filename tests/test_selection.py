"""Choice on `select`, what chance does in its place, and paired comparisons."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from sycophancy_steering.analysis.cells import evaluation_cells
from sycophancy_steering.analysis.readouts import cell_aurocs
from sycophancy_steering.analysis.selection import (
    best_of_shuffled_pairs,
    false_positive_rate,
    permutation_p_value,
    select_best,
)
from sycophancy_steering.analysis.shuffled_pairs import (
    select_in_each_shuffle,
    shuffled_differences,
)
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.statistics.auroc import auroc
from sycophancy_steering.statistics.auroc_difference import auroc_difference, auroc_differences_from


def tried(**areas: tuple[float, float]) -> pl.DataFrame:
    """AUROCs on `select` and on `test` of the vectors named, all of one family and position."""
    return pl.DataFrame(
        [
            {"family": "f", "position": "prompt", "vector": v, "layer": 0, "split": s, "auroc": a}
            for v, both in areas.items()
            for s, a in zip(("select", "test"), both, strict=True)
        ]
    )


def test_what_is_chosen_did_best_on_select_and_is_reported_on_test():
    found = select_best(tried(a=(0.7, 0.6), b=(0.8, 0.5), c=(0.6, 0.99), d=(np.nan, 1.0)))
    assert found.select("vector", "auroc", "split").rows() == [("b", 0.5, "test")]
    assert select_best(tried(b=(0.7, 0.1), a=(0.7, 0.2)))["vector"].to_list() == ["a"]


def test_p_values_count_what_was_found_itself():
    assert permutation_p_value(0.9, np.array([0.5, 0.6, 0.7])) == 0.25
    assert permutation_p_value(0.6, np.array([0.5, 0.6, 0.7])) == 0.75


@pytest.fixture(scope="module")
def loud():
    """An evaluation whose cause is the loudest thing in the states, as in the organisms: there
    random directions read it, too."""
    draw = np.random.default_rng(0)
    n, width = 400, 24
    label = draw.integers(0, 2, n)
    states = draw.normal(size=(n, width))
    states[:, 0] += 4 * (label - 0.5) + draw.normal(size=n)
    responses = pl.DataFrame(
        {
            "family": "f",
            "source": "s",
            "split": ["select" if k % 2 else "test" for k in range(n)],
            "item": [f"i{k // 8}" for k in range(n)],
            "template": "",
            "label": label,
            "matching": "A",
            "form": "free",
            "prompt_tokens": 1,
            "margin": 0.0,
            "shift": None,
            "counts": True,
        }
    )
    differences = draw.normal(size=(60, width))
    differences[:, 0] *= 3
    return states, responses, differences


def test_vectors_of_shuffled_pairs_are_selected_in_at_most_5_of_100_studies(loud):
    states, responses, differences = loud
    held, studies, each = evaluation_cells(responses), 200, 4
    vectors = shuffled_differences(ArrayStream.from_array(differences), studies * each)
    found = cell_aurocs(vectors, ArrayStream.from_array(states), held)
    by_split = {cell.split: aurocs for cell, aurocs in zip(held, found, strict=True)}
    table = select_in_each_shuffle(
        lambda _: vectors, lambda *_: ArrayStream.from_array(states), held, range(1), studies
    ).filter(pl.col("position") == "prompt")
    best = by_split["select"].reshape(studies, each).argmax(1) + each * np.arange(studies)
    np.testing.assert_array_equal(table["select_auroc"], by_split["select"][best])
    np.testing.assert_array_equal(table["auroc"], by_split["test"][best])
    chance = best_of_shuffled_pairs(table)["auroc"].to_numpy()
    assert np.quantile(chance, 0.5) > 0.6  # direction by direction, chance is loud here
    assert false_positive_rate(chance) <= 0.05
    p = [permutation_p_value(area, np.delete(chance, n)) for n, area in enumerate(chance)]
    assert np.mean(np.array(p) < 0.05) == false_positive_rate(chance)
    # A vector along the cause itself is still told from them.
    best = auroc(states[::2, 0], responses["label"].to_numpy()[::2])
    assert permutation_p_value(float(best), chance) < 0.05


def test_the_best_of_shuffled_pairs_is_chosen_on_select_over_layers_and_sets():
    draw = np.random.default_rng(8)
    states, vectors = draw.normal(size=(3, 2, 120, 5)), draw.normal(size=(2, 3, 12, 5))
    answers = pl.DataFrame(
        {
            "family": draw.choice(["f", "g"], 120),
            "source": "s",
            "split": draw.choice(["select", "test"], 120),
            "item": [f"i{k // 4}" for k in range(120)],
            "template": "",
            "label": [None if k % 7 == 0 else k % 2 for k in range(120)],
            "matching": "A",
            "form": "free",
            "prompt_tokens": 1,
            "margin": 0.0,
            "shift": None,
            "counts": True,
        }
    )
    positions = {"prompt": 0, "continuation": 1}
    tables = [
        select_in_each_shuffle(
            lambda layer, own=own: own[layer],
            lambda layer, name: ArrayStream.from_array(states[layer, positions[name]]),
            evaluation_cells(answers),
            range(3),
            4,
        )
        for own in vectors
    ]
    found = best_of_shuffled_pairs(pl.concat(tables))
    assert len(found) == 4 * 2 * 2
    for row in found.iter_rows(named=True):
        known = (answers["family"] == row["family"]) & answers["label"].is_not_null()
        at = positions[row["position"]]
        tried = []
        for name, layer, replicate in itertools.product(range(2), range(3), range(3)):
            scores = states[layer, at] @ vectors[name, layer, 3 * row["shuffle"] + replicate]
            areas = [
                roc_auc_score(answers["label"].filter(mask), scores[mask.to_numpy()])
                for mask in (known & (answers["split"] == split) for split in ("select", "test"))
            ]
            tried.append((areas[0], areas[1]))
        assert (row["select_auroc"], row["auroc"]) == pytest.approx(max(tried), abs=1e-12)


def test_shuffled_differences_are_what_they_are_called():
    differences = np.random.default_rng(1).normal(size=(30, 5))
    found = shuffled_differences(ArrayStream.from_array(differences), 2000)
    covariance = differences.T @ differences / 30**2
    np.testing.assert_allclose(found.T @ found / 2000, covariance, atol=0.15 * covariance.max())
    np.testing.assert_array_equal(
        found, shuffled_differences(ArrayStream.from_array(differences), 2000)
    )


def answered(draw: np.random.Generator, items: int = 40, each: int = 5):
    clusters = np.repeat(np.arange(items), each)
    own = draw.normal(size=items)[clusters]
    labels = (draw.random(items * each) < 1 / (1 + np.exp(-own))).astype(int)
    base = draw.normal(size=items * each) + labels + 0.5 * own
    return base, base + draw.normal(size=items * each) * 0.5 + 0.3 * labels, labels, clusters


def test_a_difference_of_aurocs_has_an_interval_that_covers():
    draw, held, studies = np.random.default_rng(2), 0, 1000
    base, other, labels, _ = answered(draw, items=40_000)
    truth = auroc(other, labels) - auroc(base, labels)
    widths, apart = [], []
    for _ in range(studies):
        base, other, labels, clusters = answered(draw)
        found = auroc_difference(other[None], base, labels, clusters)
        held += bool(found.low[0] <= truth <= found.high[0])
        widths.append(found.high[0] - found.low[0])
        apart.append(found.value[0])
    assert 0.93 <= held / studies <= 0.97
    assert np.mean(widths) < 4.3 * np.std(apart)


def test_a_vector_is_not_better_than_itself():
    base, _, labels, clusters = answered(np.random.default_rng(3))
    found = auroc_difference(base[None], base, labels, clusters)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_difference_has_no_interval_with_few_items_of_a_class_and_no_value_without_any():
    base, other, labels, clusters = answered(np.random.default_rng(5))
    of_item = [clusters == item for item in np.unique(clusters)]
    few = np.zeros_like(labels)
    for rows in of_item[:4]:
        few[rows] = 1
    found = auroc_difference(other[None], base, few, clusters)
    assert found.value == auroc(other, few) - auroc(base, few)
    assert np.isnan([found.low, found.high]).all()
    for one_class in (np.zeros_like(labels), np.ones_like(labels)):
        found = auroc_difference(other[None], base, one_class, clusters)
        assert np.isnan([found.value, found.low, found.high]).all()


def test_every_vector_is_compared_with_the_headline_answer_by_answer():
    draw = np.random.default_rng(4)
    base, other, labels, clusters = answered(draw)
    rows = [
        pl.DataFrame(
            {
                "vector": name,
                "id": [f"q{k}" for k in order],
                "label": labels[order],
                "item": [str(c) for c in clusters[order]],
                "family": "f",
                "projection": scores[order],
            }
        )
        for name, scores in (("a", base), ("b", other))
        for order in [draw.permutation(len(labels))]
    ]
    found = auroc_differences_from(pl.concat(rows), "a").row(0, named=True)
    assert found["vector"] == "b"
    assert found["difference"] == pytest.approx(auroc(other, labels) - auroc(base, labels))
    assert found["difference_low"] < found["difference"] < found["difference_high"]
