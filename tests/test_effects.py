"""Whether vectors that predict also cause: effects, and their rank correlation with the AUROC."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from steered_answers import steered_answers

from sycophancy_steering.interventions.effects import agreement, effects, rank_correlation

N_STUDIES = 400


def test_the_slope_is_half_the_difference_and_removal_how_much_closer_the_classes_are():
    table = pl.concat(
        [
            steered_answers(lambda before: before + 3, coefficient=1.0),
            steered_answers(lambda before: before - 1, coefficient=-1.0),
            steered_answers(lambda before: before / 4, kind="mean"),
        ]
    )
    row = effects(table).row(0, named=True)
    assert (row["slope"], row["removal"]) == (2, 3)


def test_rank_correlation_is_spearmans_and_within_its_interval():
    rng = np.random.default_rng(0)
    x, groups = rng.normal(size=60), np.repeat(np.arange(12), 5)
    y = x + rng.normal(size=60)
    estimate = rank_correlation(x, y, groups)
    expected = float(spearmanr(x, y).statistic)  # type: ignore[attr-defined]
    assert float(estimate.value) == pytest.approx(expected)
    assert estimate.low < estimate.value < estimate.high
    assert np.isnan(rank_correlation(x, np.ones(60), groups).value)


def test_intervals_of_rank_correlations_cover_the_truth_where_layers_of_a_vector_correlate():
    rng = np.random.default_rng(1)

    def sample(n_vectors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        groups = np.repeat(np.arange(n_vectors), 6)
        x = rng.normal(size=n_vectors)[groups] + rng.normal(size=len(groups))
        y = 0.7 * x + rng.normal(size=n_vectors)[groups] + rng.normal(size=len(groups))
        return x, y, groups

    x, y, _ = sample(20_000)
    truth, n_covered = float(spearmanr(x, y).statistic), 0  # type: ignore[attr-defined]
    for _ in range(N_STUDIES):
        estimate = rank_correlation(*sample(16))
        n_covered += bool(estimate.low <= truth <= estimate.high)
    assert 0.91 <= n_covered / N_STUDIES <= 0.985


def test_agreement_is_over_the_vectors_with_an_auroc():
    table = pl.DataFrame(
        {
            "vector": [f"s/{n // 2}" for n in range(12)],
            "layer": [n % 2 for n in range(12)],
            "family": ["opinion"] * 12,
            "auroc": [None, *np.linspace(0.5, 1, 11)],
            "slope": np.arange(12.0),
            "removal": -np.arange(12.0),
        }
    )
    row = agreement(table).row(0, named=True)
    assert (row["n"], row["slope"], row["removal"]) == (11, pytest.approx(1), pytest.approx(-1))
