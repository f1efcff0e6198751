"""What moves predictivity, and where vectors carry over."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from synthetic_answers import evaluation_cell

from sycophancy_steering.analysis.transfer import (
    TransferTargets,
    auroc_cosine_correlation,
    own_sets,
    transfer_at_layer,
)
from sycophancy_steering.analysis.variance_components import (
    components_of_scores,
    jackknife_components,
    variance_components,
)
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.report.analysis import transfer_section
from sycophancy_steering.schemas.analysis import TRANSFER, TRANSFER_FROM_COSINES
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.auroc import auroc


def test_a_family_owns_the_set_that_is_all_of_it():
    sets = {
        "mixed": {("f", "s"), ("g", "t")},
        "a": {("f", "s"), ("f", "u")},
        "b": {("f", "s")},
        "c": {("g", "t")},
    }
    assert own_sets(sets) == {
        ("f", "all"): "a",
        ("f", "s"): "b",
        ("g", "all"): "c",
        ("g", "t"): "c",
    }


def test_the_matrix_tells_one_cause_from_two():
    draw = np.random.default_rng(0)
    n, width = 300, 12
    labels = draw.integers(0, 2, 2 * n)
    states = draw.normal(size=(2 * n, width))
    states[:n, 0] += 2 * labels[:n]
    states[n:, 1] += 2 * labels[n:]
    items = np.array([f"i{k}" for k in range(2 * n)])
    cells = {
        (family, "all"): evaluation_cell(family, "all", rows, labels, items)
        for family, rows in (("f", np.arange(n)), ("g", np.arange(n, 2 * n)))
    }
    vectors = {("a", "m"): np.eye(width)[0], ("c", "m"): np.eye(width)[1]}
    metrics = {
        kind: ArrayStream.from_array(states[cell.rows]).covariance for kind, cell in cells.items()
    }
    own = {("f", "all"): "a", ("g", "all"): "c"}
    targets = TransferTargets(cells, own, metrics)
    table = transfer_at_layer(vectors, targets, ArrayStream.from_array(states))
    found = {(row["prompt_set"], row["family"]): row for row in table.iter_rows(named=True)}
    for name, family in (("a", "f"), ("c", "g")):
        row = found[name, family]
        assert row["own_set"]
        assert row["cosine"] == pytest.approx(1)
        assert row["auroc_low"] > 0.5
        rows = cells[family, "all"].rows
        read = states[rows] @ vectors[name, "m"]
        assert row["auroc"] == pytest.approx(float(auroc(read, labels[rows])))
    for name, family in (("a", "g"), ("c", "f")):
        row = found[name, family]
        assert not row["own_set"]
        assert row["auroc"] == pytest.approx(0.5, abs=0.1)
        read = [states[cells[family, "all"].rows] @ vectors[each, "m"] for each in ("a", "c")]
        assert row["mahalanobis_cosine"] == pytest.approx(np.corrcoef(*read)[0, 1])


def test_a_family_without_vectors_of_its_own_is_read_all_the_same():
    draw = np.random.default_rng(6)
    states, labels = draw.normal(size=(60, 4)), np.arange(60) % 2
    items = np.array([f"i{k}" for k in range(60)])
    cells = {("g", "all"): evaluation_cell("g", "all", np.arange(60), labels, items)}
    vectors = {("a", "m"): draw.normal(size=4)}
    metrics = {("g", "all"): ArrayStream.from_array(states).covariance}
    targets = TransferTargets(cells, {("f", "all"): "a"}, metrics)
    table = transfer_at_layer(vectors, targets, ArrayStream.from_array(states))
    (row,) = table.to_dicts()
    assert row["auroc"] == pytest.approx(float(auroc(states @ vectors["a", "m"], labels)))
    assert not row["own_set"]
    assert np.isnan([row["cosine"], row["mahalanobis_cosine"]]).all()
    from_cosines = pl.DataFrame(schema=TRANSFER_FROM_COSINES.columns)
    section = transfer_section(table.with_columns(layer=pl.lit(0)), from_cosines, "m")
    assert section
    rows = section.facts["transfer"].rows  # type: ignore[attr-defined]
    assert [len(cell) for cell in rows[0][1:]] == [1]  # and no cosine


def test_a_source_without_a_set_of_its_own_is_held_against_its_familys():
    draw = np.random.default_rng(5)
    states, labels = draw.normal(size=(60, 4)), np.arange(60) % 2
    items = np.array([f"i{k}" for k in range(60)])
    cells = {
        ("f", source): evaluation_cell("f", source, rows, labels, items)
        for source, rows in (("all", np.arange(60)), ("s", np.arange(30)), ("u", np.arange(30, 60)))
    }
    vectors = {(name, "m"): draw.normal(size=4) for name in "ab"}
    metrics = {
        kind: ArrayStream.from_array(states[cell.rows]).covariance for kind, cell in cells.items()
    }
    targets = TransferTargets(cells, {("f", "all"): "a", ("f", "s"): "b"}, metrics)
    table = transfer_at_layer(vectors, targets, ArrayStream.from_array(states))
    own = {
        (row["source"], row["prompt_set"]): row["own_set"] for row in table.iter_rows(named=True)
    }
    assert [key for key, is_own in own.items() if is_own] == [("all", "a"), ("u", "a"), ("s", "b")]
    for row in table.iter_rows(named=True):
        rows = cells["f", row["source"]].rows
        read = states[rows] @ vectors[row["prompt_set"], "m"]
        assert row["auroc"] == pytest.approx(float(auroc(read, labels[rows])))


def test_what_cosines_foretell_is_spearmans_correlation_by_method():
    draw = np.random.default_rng(1)
    rows = [
        {
            "method": method,
            "prompt_set": "s",
            "family": "f",
            "source": "all",
            "own_set": k == 0,
            "n_items_rarer_class": 9,
            "auroc": 0.5 + 0.3 * cosine + 0.1 * draw.normal(),
            "cosine": cosine,
        }
        for method in "abc"
        for k, cosine in enumerate(draw.uniform(-1, 1, 20))
    ]
    table = pl.DataFrame(rows, schema={k: v for k, v in TRANSFER.columns.items() if k != "layer"})
    others = table.filter(~pl.col("own_set"))
    expected = []
    for _, held in others.group_by("method", maintain_order=True):
        expected.append(spearmanr(held["cosine"], held["auroc"])[0])
    found = auroc_cosine_correlation(table, "cosine")
    assert found
    value, low, high = (float(str(found[name])) for name in estimate("rank_correlation"))
    assert value == pytest.approx(np.mean(expected))
    assert low < value < high
    assert auroc_cosine_correlation(table.filter(pl.col("method") == "a"), "cosine") is None


def test_variation_is_that_of_a_table_of_two_ways():
    sets, methods = np.array([0.0, 0.1, 0.2]), np.array([0.0, 0.04, 0.08, 0.12])
    areas = 0.6 + sets[:, None] + methods
    between_sets, between_methods, together, gap = variance_components(areas)
    assert between_sets == pytest.approx(0.1)
    assert between_methods == pytest.approx(np.std(methods, ddof=1))
    assert together == pytest.approx(0, abs=1e-12)
    assert gap == pytest.approx(0.32)
    areas[0, 0] += 0.3
    assert variance_components(areas)[2] > 0.05


def test_the_jackknife_knows_how_sure_it_is():
    """Intervals of the spread between two sets, whose vectors truly differ, cover it."""
    draw, held, studies = np.random.default_rng(2), 0, 400

    def study(items: int):
        clusters = np.repeat(np.arange(items), 5)
        labels = draw.integers(0, 2, items * 5)
        known = labels[None] * np.array([2.0, 1.6, 0.8, 0.6])[:, None]
        noise = draw.normal(size=(4, items * 5)) + 0.5 * draw.normal(size=(4, items))[:, clusters]
        return known + noise, labels, clusters

    scores, labels, _ = study(20_000)
    truth = variance_components(auroc(scores, labels).reshape(2, 2))[0]
    for _ in range(studies):
        estimate = jackknife_components(*study(40), (2, 2))
        held += bool(estimate.low[0] <= truth <= estimate.high[0])
    assert 0.92 <= held / studies <= 0.98


def test_variation_is_over_the_methods_that_every_set_allows():
    draw = np.random.default_rng(3)
    answers = pl.DataFrame(
        {
            "id": [f"q{k}" for k in range(60)],
            "label": draw.integers(0, 2, 60),
            "item": [f"i{k % 12}" for k in range(60)],
            "family": "f",
        }
    )
    scores = pl.concat(
        answers.with_columns(
            pl.lit(name).alias("prompt_set"),
            pl.lit(method).alias("variant"),
            pl.Series("projection", draw.normal(size=60)),
        )
        for name in "ab"
        for method in ("pca", "lda", "letter")
        if (name, method) != ("b", "letter")
    )
    found = components_of_scores(scores)
    assert found
    assert (found["n_sets"], found["n_methods"]) == (2, 2)
    labels = answers["label"].to_numpy()
    areas = [
        [
            float(auroc(held["projection"].to_numpy(), labels))
            for method in ("pca", "lda")
            for held in [scores.filter(pl.col("prompt_set") == name, pl.col("variant") == method)]
        ]
        for name in "ab"
    ]
    assert found["largest_gap"] == pytest.approx(np.max(areas) - np.min(areas))
    assert components_of_scores(scores.filter(pl.col("prompt_set") == "a")) is None
    # A set that allows one method of three would leave nothing to compare.
    only = scores.filter(pl.col("prompt_set") == "a", pl.col("variant") == "pca")
    chats = only.with_columns(pl.lit("chats").alias("prompt_set"))
    assert components_of_scores(pl.concat([scores, chats])) == found
