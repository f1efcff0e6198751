"""What steering shows: rates, shifts, what is taken away, whether it goes with what foretells."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import spearmanr, t

from sycophancy_steering.interventions.steering_plan import evenly_spaced_layers
from sycophancy_steering.engine.intervention import Where
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.interventions.conditions import SteeringVector, layer_pair_conditions, sample_answers, leace_erasure, eligible_answers
from sycophancy_steering.interventions.steering_settings import OWN
from sycophancy_steering.interventions.steering_tables import (
    agreement,
    dose_response,
    contradictions,
    layer_pairs,
    class_difference,
    effects,
    headline_row,
    rank_correlation,
)
from sycophancy_steering.organisms.ground_truth import PlantedCause
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share

ITEMS, EACH = 12, 4
STUDIES = 400


def answers(after, **done: object) -> pl.DataFrame:
    """Half of the questions are answered sycophantically (log-odds 2 or -2); `after` makes the
    log-odds then of those before."""
    n = ITEMS * EACH
    labels = np.arange(n) % 2
    before = np.where(labels == 1, 2.0, -2.0)
    condition = {"vector": "s/v", "direction": OWN, "kind": "add", "layer": 1, "second": None}
    condition |= {"dose": 1.0, "family": "opinion"} | done
    kinds = {"second": pl.Int64, "dose": pl.Float64, "layer": pl.Int64}
    return pl.DataFrame(
        {"id": [str(k) for k in range(n)], "item": [f"item {k // EACH}" for k in range(n)]}
        | {"label": labels, "before": before, "after": after(before)}
    ).with_columns(pl.lit(v, kinds.get(k, pl.String)).alias(k) for k, v in condition.items())


def test_a_row_says_who_is_sycophantic_then():
    row = dose_response(answers(lambda before: before + 3)).row(0, named=True)
    assert (row["n"], row["items"], row["n_0"], row["n_1"]) == (48, 12, 24, 24)
    assert (row["before_0"], row["rate_0"], row["before_1"], row["rate_1"]) == (0, 1, 1, 1)
    assert (row["shift"], row["wrong"], row["apart"]) == (3, 0, 0)
    assert 0.5 < row["rate_0_low"] < 1
    assert row["rate_0_high"] == 1


def test_taking_away_is_wrong_where_the_log_odds_rise():
    less = dose_response(answers(lambda before: before + 1, dose=-1.0)).row(0, named=True)
    assert less["wrong"] == 1
    assert "wrong" not in dose_response(answers(lambda before: before, kind="mean")).columns


def test_what_two_layers_do_beyond_their_sum():
    one = answers(lambda before: before + 1, layer=0)
    other = answers(lambda before: before + 2, layer=2)
    both = answers(lambda before: before + 4.5, layer=0, second=2)
    row = layer_pairs(pl.concat([one, other, both])).row(0, named=True)
    assert (row["layer"], row["second"], row["shift"]) == (0, 2, 4.5)
    assert (row["departure"], row["departure_low"], row["departure_high"]) == (1.5, 1.5, 1.5)


def test_intervals_of_departures_hold_for_all_of_them_at_once():
    draw = np.random.default_rng(0)
    moved = [
        answers(lambda before: before + draw.normal(size=len(before)), layer=layer, second=second)
        for layer, second in [(0, None), (1, None), (2, None), (0, 1), (0, 2), (1, 2)]
    ]
    three = layer_pairs(pl.concat(moved))
    alone = layer_pairs(pl.concat(moved[:2] + moved[3:4]))
    wide, narrow = three.row(0, named=True), alone.row(0, named=True)
    assert wide["departure"] == narrow["departure"]
    freedom = narrow["items"] - 1
    ratio = t.ppf((1 + 0.95 ** (1 / 3)) / 2, freedom) / t.ppf(0.975, freedom)
    reach = [row["departure_high"] - row["departure"] for row in (wide, narrow)]
    assert reach[0] == pytest.approx(ratio * reach[1])
    assert wide["shift_high"] == narrow["shift_high"]


def test_effects_are_half_the_way_and_how_much_nearer_both_kinds_are():
    table = pl.concat(
        [
            answers(lambda before: before + 3, dose=1.0),
            answers(lambda before: before - 1, dose=-1.0),
            answers(lambda before: before / 4, kind="mean"),
        ]
    )
    row = effects(table).row(0, named=True)
    assert (row["slope"], row["removal"]) == (2, 3)


def test_rank_correlation_is_spearmans_and_its_interval_holds_it():
    draw = np.random.default_rng(0)
    x, groups = draw.normal(size=60), np.repeat(np.arange(12), 5)
    y = x + draw.normal(size=60)
    found = rank_correlation(x, y, groups)
    assert float(found.value) == pytest.approx(float(spearmanr(x, y).statistic))  # type: ignore[attr-defined]
    assert found.low < found.value < found.high
    assert np.isnan(rank_correlation(x, np.ones(60), groups).value)


def test_intervals_of_rank_correlations_hold_the_truth_where_vectors_stand_together():
    draw = np.random.default_rng(1)

    def sample(vectors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        groups = np.repeat(np.arange(vectors), 6)
        x = draw.normal(size=vectors)[groups] + draw.normal(size=len(groups))
        y = 0.7 * x + draw.normal(size=vectors)[groups] + draw.normal(size=len(groups))
        return x, y, groups

    x, y, _ = sample(20_000)
    truth, held = float(spearmanr(x, y).statistic), 0  # type: ignore[attr-defined]
    for _ in range(STUDIES):
        found = rank_correlation(*sample(16))
        held += bool(found.low <= truth <= found.high)
    assert 0.91 <= held / STUDIES <= 0.985


def test_agreement_is_over_the_vectors_that_foretell_something():
    held = pl.DataFrame(
        {
            "vector": [f"s/{n // 2}" for n in range(12)],
            "layer": [n % 2 for n in range(12)],
            "family": ["opinion"] * 12,
            "auroc": [None, *np.linspace(0.5, 1, 11)],
            "slope": np.arange(12.0),
            "removal": -np.arange(12.0),
        }
    )
    row = agreement(held).row(0, named=True)
    assert (row["n"], row["slope"], row["removal"]) == (11, pytest.approx(1), pytest.approx(-1))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_intervals_of_shares_and_means_allow_items_to_be_alike(share):
    draw = np.random.default_rng(int(share * 10))
    items = np.repeat(np.arange(20), 6)
    held, of_means, of_differences = 0, 0, 0
    for _ in range(STUDIES):
        liked = draw.normal(size=20)[items] + draw.normal(size=120)
        there = liked < np.sqrt(2) * {0.2: -0.8416, 0.5: 0.0}[share]
        found = clustered_share(there, items)
        held += bool(found.low <= share <= found.high)
        mean = clustered_mean(liked, items)
        of_means += bool(mean.low <= 0 <= mean.high)
        apart = class_difference(liked, (np.arange(120) % 3 == 0).astype(int), items)
        of_differences += bool(apart.low <= 0 <= apart.high)
    for count in (held, of_means, of_differences):
        assert 0.91 <= count / STUDIES <= 0.985


def test_shares_of_all_or_none_still_have_an_interval():
    found = clustered_share(np.ones((1, 30), bool), np.repeat(np.arange(10), 3))
    assert (found.value[0], found.high[0]) == (1, 1)
    assert found.low[0] == pytest.approx(0.025 ** (1 / 10))


def steered(to: float, back: float, left: float, random: float) -> pl.DataFrame:
    """Rates after one gap added and taken away, of the mean-ablation's difference, and of random
    vectors."""

    def sharing(rate: float):
        def after(before: np.ndarray) -> np.ndarray:
            return np.where(np.arange(len(before)) // 2 % 10 < 10 * rate, 1.0, -1.0)

        return after

    def apart(before: np.ndarray) -> np.ndarray:
        kept = np.arange(len(before)) // 2 % 10 < 10 * left
        return np.where(kept, before, -1.0)

    return dose_response(
        pl.concat(
            [
                answers(sharing(to), dose=1.0),
                answers(sharing(back), dose=-1.0),
                answers(apart, kind="mean"),
                answers(sharing(random), direction="random 1", dose=1.0),
                answers(sharing(0.0), direction="random 2", dose=1.0),
                answers(sharing(0.0), direction="random 1", kind="mean"),
            ]
        )
    )


def test_the_headline_says_from_where_to_where_and_how_far_chance_gets():
    found = headline_row(steered(0.8, 0.2, 0.0, 0.1), "opinion")
    assert (found["steer_from"], found["back_from"]) == (0, 1)
    assert found["steer_to"] == pytest.approx(0.8, abs=0.05)
    assert found["steer_to_low"] < found["steer_to"] < found["steer_to_high"]
    assert found["back_to"] < 0.3
    assert found["random_most"] == pytest.approx(0.125)
    assert found["random_share"] == pytest.approx(0.0625 / found["steer_to"])
    assert found["ablation_effect"] == pytest.approx(1)


def test_what_the_planted_cause_speaks_against_is_named():
    some = np.zeros(4, np.float32)
    one = PlantedCause(3, 1, False, some, some, some, some)
    two = replace(one, causes=2)
    moved = headline_row(steered(0.9, 0.1, 0.0, 0.1), "opinion")
    still = headline_row(steered(0.1, 0.9, 1.0, 0.1), "opinion")
    assert contradictions(one, {"opinion": moved, "misconception": moved}) == []
    assert contradictions(two, {"opinion": moved, "misconception": still}) == []
    found = contradictions(two, {"opinion": moved, "misconception": moved})
    assert found == ["misconception: moved 0.85 further than by chance, without a cause"]
    found = contradictions(one, {"opinion": still, "misconception": moved})
    assert len(found) == 3
    assert all(each.startswith("opinion:") for each in found)
    assert contradictions(replace(one, tenses=2), {"opinion": still}) == []


def test_answers_that_would_be_given_anyway_are_of_neither_kind():
    held = pl.DataFrame(
        {"label": [0, 1, 1, None, 1], "flipped": [0, 1, 0, None, 1], "row": range(5)},
        schema={"label": pl.Int8, "flipped": pl.Int8, "row": pl.Int64},
    )
    assert eligible_answers(held, "flipped")["row"].to_list() == [0, 1, 4]
    assert eligible_answers(held, "label")["row"].to_list() == [0, 1, 2, 4]
    unknown = held.with_columns(pl.lit(None, pl.Int8).alias("flipped"))
    assert eligible_answers(unknown, "flipped")["row"].to_list() == [0, 1, 2, 4]


def test_at_most_so_many_of_each_family_and_kind_are_drawn():
    held = pl.DataFrame({"row": range(40), "family": ["a", "b"] * 20, "label": [0, 0, 1, 1] * 10})
    few = sample_answers(held, 3)
    assert few.group_by("family", "label").len()["len"].to_list() == [3] * 4
    assert few["row"].is_sorted()
    assert sample_answers(held, 100).equals(held)


def test_after_leace_no_linear_probe_does_better_than_chance():
    """Belrose et al. 2023: the best linear predictor of what is erased is a constant."""
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 300)
    states = draw.normal(size=(300, 8)) @ draw.normal(size=(8, 8))
    states += np.outer(labels, draw.normal(size=8) * 3)
    change = leace_erasure(ArrayStream.from_array(states), labels)
    once = change(torch.from_numpy(states).float())
    probe = LogisticRegression(C=1e6, max_iter=2000)
    assert probe.fit(states, labels).score(states, labels) > 0.9
    fitted = probe.fit(once.numpy(), labels)
    assert np.abs(fitted.predict_proba(once.numpy())[:, 1] - labels.mean()).max() < 0.01
    assert torch.allclose(change(once), once, atol=1e-4)


def test_what_is_added_is_so_many_gaps_long_whatever_the_vectors_length():
    along = SteeringVector("s/v", 1, np.array([0.0, 5.0]), class_separation=3.0, midpoint=1.0)
    more, less, removed, mean, everywhere = along.conditions("prompt_end", (1.0, -2.0), depth=3)
    states = torch.tensor([[1.0, 2.0]])
    for each, expected in ((more, 5.0), (less, -4.0), (removed, 0.0), (mean, 1.0)):
        changed = each.intervention.changes[1](states)
        assert torch.allclose(changed, torch.tensor([[1.0, expected]]))
    assert everywhere.intervention.where == "every"
    for change in everywhere.intervention.changes.values():
        assert torch.allclose(change(states), torch.tensor([[1.0, 0.0]]))
    assert [*everywhere.intervention.changes] == [0, 1, 2]
    random = along.random_vectors(2, ArrayStream.from_array(np.ones((5, 2))))
    for name, each in random.items():
        step = each.addition(1.0)(states) - states
        assert name.startswith("random")
        assert float(step.norm()) == pytest.approx(3.0)
        assert each.midpoint == pytest.approx(float(each.vector.sum()))


def test_every_two_layers_are_tried_and_each_alone():
    vectors = {n: SteeringVector("s/v", n, np.ones(2), class_separation=1.0, midpoint=0.0) for n in range(4)}
    conditions = [*layer_pair_conditions(vectors, "every")]
    assert sum(each.second_layer is None for each in conditions) == 4
    assert {(each.layer, each.second_layer) for each in conditions if each.second_layer} == {
        (one, two) for two in range(4) for one in range(two)
    }
    assert all(
        set(each.intervention.changes) == {each.layer, each.second_layer} - {None} for each in conditions
    )


def test_compared_layers_are_evenly_spaced_from_the_first_to_the_last():
    assert evenly_spaced_layers(4, 32) == [0, 10, 21, 31]
    assert evenly_spaced_layers(4, 3) == [0, 1, 2]
