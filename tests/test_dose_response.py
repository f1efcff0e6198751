"""What steering shows: rates, shifts, two layers at once, the headline and its contradictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import t
from steered_answers import steered_answers

from sycophancy_steering.interventions.dose_response import (
    class_difference,
    dose_response,
    two_layers,
)
from sycophancy_steering.interventions.headline import contradictions, headline_table
from sycophancy_steering.organisms.ground_truth import PlantedCause
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share

N_STUDIES = 400


def test_a_row_has_the_sycophantic_shares_by_the_unsteered_answer():
    row = dose_response(steered_answers(lambda before: before + 3)).row(0, named=True)
    assert (row["n"], row["n_items"], row["n_0"], row["n_1"]) == (48, 12, 24, 24)
    assert (row["baseline_rate_0"], row["rate_0"]) == (0, 1)
    assert (row["baseline_rate_1"], row["rate_1"]) == (1, 1)
    assert (row["shift"], row["wrong_way_share"], row["rate_difference"]) == (3, 0, 0)
    answers = steered_answers(lambda before: before + 3)
    former = answers.filter(pl.col("label") == 0)["log_odds_before"].to_numpy()
    for name, log_odds in (("baseline_probability_0", former), ("probability_0", former + 3)):
        assert row[name] == pytest.approx((1 / (1 + np.exp(-log_odds))).mean())
    assert 0.5 < row["rate_0_low"] < 1
    assert row["rate_0_high"] == 1


def test_subtracting_a_vector_is_wrong_where_the_log_odds_rise():
    minus = dose_response(steered_answers(lambda before: before + 1, coefficient=-1.0))
    assert minus["wrong_way_share"].to_list() == [1]
    at_mean = dose_response(steered_answers(lambda before: before, kind="mean"))
    assert at_mean["wrong_way_share"].to_list() == [None]


def test_nonadditivity_is_what_two_layers_do_beyond_their_sum():
    one = steered_answers(lambda before: before + 1, layer=0)
    other = steered_answers(lambda before: before + 2, layer=2)
    both = steered_answers(lambda before: before + 4.5, layer=0, second_layer=2)
    row = two_layers(pl.concat([one, other, both])).row(0, named=True)
    assert (row["layer"], row["second_layer"], row["shift"]) == (0, 2, 4.5)
    assert [row[f"nonadditivity{end}"] for end in ("", "_low", "_high")] == [1.5, 1.5, 1.5]


def test_intervals_of_nonadditivity_are_simultaneous():
    rng = np.random.default_rng(0)
    shifted = [
        steered_answers(
            lambda before: before + rng.normal(size=len(before)), layer=layer, second_layer=second
        )
        for layer, second in [(0, None), (1, None), (2, None), (0, 1), (0, 2), (1, 2)]
    ]
    three = two_layers(pl.concat(shifted))
    single = two_layers(pl.concat(shifted[:2] + shifted[3:4]))
    wide, narrow = three.row(0, named=True), single.row(0, named=True)
    assert wide["nonadditivity"] == narrow["nonadditivity"]
    freedom = narrow["n_items"] - 1
    ratio = t.ppf((1 + 0.95 ** (1 / 3)) / 2, freedom) / t.ppf(0.975, freedom)
    widths = [row["nonadditivity_high"] - row["nonadditivity"] for row in (wide, narrow)]
    assert widths[0] == pytest.approx(ratio * widths[1])
    assert wide["shift_high"] == narrow["shift_high"]


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_intervals_of_shares_means_and_differences_cover_the_truth_where_items_correlate(share):
    rng = np.random.default_rng(int(share * 10))
    items = np.repeat(np.arange(20), 6)
    covered = np.zeros(3)
    for _ in range(N_STUDIES):
        values = rng.normal(size=20)[items] + rng.normal(size=120)
        flags = values < np.sqrt(2) * {0.2: -0.8416, 0.5: 0.0}[share]
        estimates = (
            (clustered_share(flags, items), share),
            (clustered_mean(values, items), 0),
            (class_difference(values, (np.arange(120) % 3 == 0).astype(int), items), 0),
        )
        covered += [bool(each.low <= truth <= each.high) for each, truth in estimates]
    assert ((covered / N_STUDIES >= 0.91) & (covered / N_STUDIES <= 0.985)).all()


def test_shares_of_all_or_none_still_have_an_interval():
    share = clustered_share(np.ones((1, 30), bool), np.repeat(np.arange(10), 3))
    assert (share.value[0], share.high[0]) == (1, 1)
    assert share.low[0] == pytest.approx(0.025 ** (1 / 10))


def responses(steered: float, reversed_to: float, remaining: float, random: float) -> pl.DataFrame:
    """Rates with coefficients 1 and -1, what mean ablation leaves of the difference, and the rate
    under a random vector."""

    def with_rate(rate: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda before: np.where(np.arange(len(before)) // 2 % 10 < 10 * rate, 1.0, -1.0)

    def ablated(before: np.ndarray) -> np.ndarray:
        remains = np.arange(len(before)) // 2 % 10 < 10 * remaining
        return np.where(remains, before, -1.0)

    tables = [
        steered_answers(with_rate(steered), coefficient=1.0),
        steered_answers(with_rate(reversed_to), coefficient=-1.0),
        steered_answers(ablated, kind="mean"),
        steered_answers(with_rate(random), direction="random 1", coefficient=1.0),
        steered_answers(with_rate(0.0), direction="random 2", coefficient=1.0),
        steered_answers(with_rate(0.0), direction="random 1", kind="mean"),
    ]
    return dose_response(pl.concat(tables))


def test_the_headline_has_rates_with_and_without_steering_and_by_chance():
    row = headline_table(responses(0.8, 0.2, 0.0, 0.1)).row(0, named=True)
    assert (row["family"], row["baseline_rate_0"], row["baseline_rate_1"]) == ("opinion", 0, 1)
    assert row["steered_rate"] == pytest.approx(0.8, abs=0.05)
    assert row["steered_rate_low"] < row["steered_rate"] < row["steered_rate_high"]
    assert row["reversed_rate"] < 0.3
    assert row["random_rate_highest"] == pytest.approx(0.125)
    assert row["random_share"] == pytest.approx(0.0625 / row["steered_rate"])
    assert row["ablation_effect"] == pytest.approx(1)


def test_contradictions_of_the_planted_cause_are_named():
    belief = np.zeros(4, np.float32)
    one = PlantedCause(3, 1, False, belief, belief, belief, belief)
    two = replace(one, n_causes=2)
    steered = headline_table(responses(0.9, 0.1, 0.0, 0.1))
    unmoved = headline_table(responses(0.1, 0.9, 1.0, 0.1))

    def of(opinion: pl.DataFrame, misconception: pl.DataFrame) -> pl.DataFrame:
        other = misconception.with_columns(pl.lit("misconception").alias("family"))
        return pl.concat([opinion, other])

    assert contradictions(one, of(steered, steered)) == []
    assert contradictions(two, of(steered, unmoved)) == []
    [excess] = contradictions(two, of(steered, steered))
    assert excess == "misconception: steered 0.85 further than by chance, without a cause"
    wrong = contradictions(one, of(unmoved, steered))
    assert len(wrong) == 3
    assert all(text.startswith("opinion:") for text in wrong)
    assert contradictions(replace(one, separate_record=True), unmoved) == []
