"""The verdict at the top of the summary: short, and never more than the tables say."""

from __future__ import annotations

import polars as pl
import pytest

from sycophancy_steering.report.templates import render
from sycophancy_steering.report.verdict import Findings, verdict_section
from sycophancy_steering.schemas.table import estimate

VECTOR = "s/mean_difference"


def row(name: str, value: float, half: float = 0.1) -> dict[str, float]:
    return dict(zip(estimate(name), (value, value - half, value + half), strict=True))


def behaviour(**sycophantic: bool) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"family": family, "source": "all", "n": 50, "control": "no user"}
            | row("rate", 0.7)
            | row("control_rate", 0.1)
            | {"sycophantic": does}
            for family, does in sycophantic.items()
        ]
    )


def cells(**aurocs: float) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"vector": VECTOR, "selected": True, "source": "all", "position": position}
            | {"family": family, "random_low": 0.3, "random_high": 0.7, "n_items_rarer_class": 20}
            | {"n": 40, "n_items": 20}
            | row("auroc", auroc)
            | row("within_item_auroc", 0.6)
            for family, auroc in aurocs.items()
            for position in ("prompt", "continuation")
        ]
    )


def dose_response(shift: float, family: str = "suggestion") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"vector": VECTOR, "kind": "add", "coefficient": 1.0, "family": family}
            | {"direction": direction, "n": 20}
            | row("shift", value)
            for direction, value in (("own", shift), ("random 1", 0.5), ("random 2", -0.5))
        ]
    )


def findings(**changed: pl.DataFrame) -> Findings:
    tables = {
        "behaviour": behaviour(suggestion=True),
        "cells": cells(suggestion=0.9),
        "incremental_validity": pl.DataFrame(schema={"family": pl.String, "source": pl.String}),
        "selected": pl.DataFrame(schema={"family": pl.String, "position": pl.String}),
        "dose_response": dose_response(2.0),
    }
    return Findings(**(tables | changed))


def verdict(**changed: pl.DataFrame) -> str:
    return render(verdict_section("m", VECTOR, findings(**changed)))


def test_a_family_that_is_predicted_is_named_with_its_interval():
    text = verdict()
    assert "the vector predicts suggestion 0.90 [0.80, 1.00] (AUROC)" in text
    assert "suggestion: gives in 0.70 [0.60, 0.80] of 50 times (without the user: 0.10)" in text


@pytest.mark.parametrize(
    ("auroc", "words"),
    [
        (0.55, "the vector is not shown to predict anything: suggestion 0.55"),
        (0.2, "the vector predicts upside down suggestion 0.20"),
        (0.65, "predicts suggestion 0.65 [0.55, 0.75] (no better than random directions"),
    ],
)
def test_what_does_not_predict_is_said_too(auroc, words):
    assert words in verdict(cells=cells(suggestion=auroc))


def test_nothing_is_claimed_of_a_family_in_which_the_model_is_not_sycophantic():
    text = verdict(
        behaviour=behaviour(suggestion=True, doubt=False), cells=cells(suggestion=0.9, doubt=0.95)
    )
    assert "Not sycophantic: doubt." in text
    assert "0.95" not in text
    nothing = verdict(behaviour=behaviour(suggestion=False))
    assert "there is nothing to predict" in nothing
    assert "AUROC" not in nothing and "log-odds" not in nothing


def test_a_cause_has_to_do_more_than_random_vectors():
    assert "(more than 2 random vectors, -0.50 to 0.50)" in verdict()
    assert "(**no more** than 2 random vectors" in verdict(dose_response=dose_response(0.55))


def test_it_is_at_most_fifteen_lines():
    families = [f"family {n}" for n in range(6)]
    text = verdict(
        behaviour=behaviour(**dict.fromkeys(families, True)),
        cells=cells(**dict.fromkeys(families, 0.9)),
    )
    assert len(text.splitlines()) <= 15


def test_nothing_is_claimed_from_a_handful_of_answers():
    few = cells(suggestion=0.9, opinion=0.9).with_columns(
        n_items_rarer_class=pl.when(pl.col("family") == "opinion").then(2).otherwise(20)
    )
    text = verdict(behaviour=behaviour(suggestion=True, opinion=True), cells=few)
    assert "Too few to say**: hardly any answers of one kind on `test`: opinion." in text
    assert "opinion 0.90" not in text


def test_what_could_have_been_found_is_said():
    power = pl.DataFrame(
        {
            "planted": ["half", "as_labelled", "as_labelled"],
            "family": ["suggestion"] * 3,
            "detectable_auroc": [0.7, 0.76, 0.76],
        }
    )
    assert "whose true AUROC is 0.76 (suggestion) or more" in verdict(power=power)
