"""Whether a vector moves answers further than random ones do: p-values, tables and the verdict."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import kstest, norm
from steered_answers import steered_answers

from sycophancy_steering.formatting.numbers import Interval
from sycophancy_steering.interventions.causal_effects import causal_effects, p_among_random
from sycophancy_steering.interventions.dose_response import dose_response
from sycophancy_steering.report.steering import (
    NotSteered,
    SteeringFacts,
    _verdict,
    causal_section,
)
from sycophancy_steering.report.templates import render

NOTHING_MISSING = NotSteered([], [])
STEERING = SteeringFacts("s/v", "every", "vector")


def answers(own: float, random: list[float], closer: float = 0.0) -> pl.DataFrame:
    """Log-odds that the vector, and each random one, moves by so much; at the vector's mean, both
    kinds of answers come closer by `closer`."""
    tables = []
    effects = {"own": own, **{f"random {n}": effect for n, effect in enumerate(random, start=1)}}
    for direction, effect in effects.items():
        for coefficient in (1.0, -1.0):
            tables.append(
                steered_answers(
                    lambda before, by=effect * coefficient: before + by,
                    direction=direction,
                    coefficient=coefficient,
                )
            )
        by = closer if direction == "own" else 0.0
        tables.append(
            steered_answers(
                lambda before, by=by: before - np.sign(before) * by / 2,
                direction=direction,
                kind="mean",
            )
        )
    return pl.concat(tables)


def test_a_row_has_the_effects_of_the_vector_and_of_random_ones():
    row = causal_effects(answers(1.5, [0.2, -0.3, 0.1], closer=1.0)).row(0, named=True)
    assert (row["vector"], row["family"], row["n"], row["n_items"]) == ("s/v", "opinion", 48, 12)
    assert row["n_random"] == 3
    assert row["slope"] == pytest.approx(1.5)
    assert (row["random_slope_lowest"], row["random_slope_highest"]) == pytest.approx((-0.3, 0.2))
    assert row["removal"] == pytest.approx(1.0)
    assert row["removal_p"] == 0
    assert row["slope_p"] == pytest.approx(p_among_random(1.5, np.array([0.2, -0.3, 0.1])))
    assert causal_effects(answers(1.0, [1.0]).clear()).is_empty()


def test_the_p_value_is_uniform_for_one_more_random_vector():
    """A direction's effect is its product with a gradient, whatever the gradient."""
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(2000):
        directions = rng.standard_normal((6, 200))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        own, *random = directions @ rng.exponential(size=200)
        p_values.append(p_among_random(own, np.array(random)))
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_the_p_value_of_one_random_vector_is_that_of_a_ratio_of_two_normals():
    """Cauchy's distribution; and more random vectors make the same ratio less likely."""
    assert p_among_random(1.0, np.array([1.0])) == pytest.approx(0.5)
    assert p_among_random(-3.0, np.ones(2)) > p_among_random(-3.0, np.ones(20))
    assert p_among_random(0.0, np.zeros(3)) == 1
    rng = np.random.default_rng(1)
    random = rng.standard_normal(400)
    many = p_among_random(2.0, random)
    assert many == pytest.approx(2 * norm.sf(2), abs=0.02)


@pytest.mark.parametrize(
    ("added", "p", "verdict"),
    [
        (Interval(1.0, 0.5, 1.5), 0.01, "cause"),
        (Interval(1.0, 0.5, 1.5), 0.2, "nothing"),
        (Interval(1.0, -0.1, 2.1), 0.01, "nothing"),
        (Interval(-1.0, -1.5, -0.5), 0.01, "wrong way"),
        (Interval(1.0, float("nan"), float("nan")), 0.01, "nothing"),
    ],
)
def test_a_cause_moves_answers_and_does_so_beyond_chance(added, p, verdict):
    assert _verdict(added, p) == verdict


def test_the_section_says_first_whether_the_vector_is_a_cause():
    steered = answers(1.5, [0.02, -0.03, 0.01])
    section = causal_section(
        causal_effects(steered), dose_response(steered), NOTHING_MISSING, STEERING
    )
    text = render(section)
    assert "**opinion**: yes, it causes sycophancy beyond what random vectors do" in text
    assert "Effect 1.50 [1.50, 1.50], random -0.03 to 0.02 (p = 0.000; n = 48 in 12 items)" in text
    nothing = answers(0.02, [0.02, -0.03, 0.01])
    section = causal_section(
        causal_effects(nothing), dose_response(nothing), NOTHING_MISSING, STEERING
    )
    assert "no effect beyond that of random vectors was found" in render(section)


def test_the_other_vectors_that_were_added_have_a_table():
    first = answers(1.5, [0.02, -0.03, 0.01])
    other = answers(0.7, [0.04, -0.01, 0.0]).with_columns(
        pl.lit("foreign/caa").alias("vector"), pl.lit(3, pl.Int64).alias("layer")
    )
    both = pl.concat([first, other])
    text = render(
        causal_section(causal_effects(both), dose_response(both), NOTHING_MISSING, STEERING)
    )
    assert text.count("yes, it causes") == 1  # of the first vector alone
    (row,) = (line for line in text.splitlines() if "foreign/caa, layer 3" in line)
    assert "0.70 [0.70, 0.70]" in row and "-0.01 to 0.04" in row
    alone = causal_section(causal_effects(first), dose_response(first), NOTHING_MISSING, STEERING)
    assert "other vectors" not in render(alone)


def test_families_without_steering_are_named_with_the_reason():
    steered = answers(1.5, [0.1]).clear()
    missing = NotSteered(["doubt"], ["opinion"])
    text = render(
        causal_section(causal_effects(steered), dose_response(steered), missing, STEERING)
    )
    assert "Nothing was steered." in text
    assert "Not steered, as the model is not sycophantic there: doubt." in text
    assert "Not steered, as `select` or `test` lacks answers of one kind: opinion." in text
