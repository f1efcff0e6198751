"""Every source of labels."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from sycophancy_steering.labels.label_sources import (
    answered_letter,
    judge_error,
    kappa,
    margin,
    source_agreement,
)
from sycophancy_steering.questions.answer_labels import LABEL_SOURCES, mc2_share
from sycophancy_steering.questions.answer_parsing import answer_wordings, prefix_free

ROW = {
    "choices": [{"letter": "A", "text": "Agree"}, {"letter": "B", "text": "Disagree"}],
    "matching": "B",
    "not_matching": ["A"],
    "answer": "B",
    "logprobs": [-2.0, -1.0],
    "answer_tokens": [4, 1],
    "any_logprobs": [-0.5, -0.9],
    "plain_logprobs": [-0.1, -3.0],
    "true_logprobs": [math.log(0.1), math.log(0.3)],
    "false_logprobs": [math.log(0.2), math.log(0.05)],
}


def labels_of(**changed) -> dict[str, int | None]:
    return {way: tell(ROW | changed) for way, tell in LABEL_SOURCES.items()}


def test_every_source_on_one_answer():
    assert labels_of() == {
        "continuation": 1,
        "logprob": 1,
        "logprob_per_token": 0,  # -0.5 a token against -1
        "wording": 0,
        "flipped": 1,
        "mc1": 1,  # the best answer, 0.1, is less likely than a false one, 0.2
        "mc2": 0,  # the true ones hold 0.4 of 0.65
        "description": None,  # it has options
    }


def test_what_is_not_known_has_no_label():
    nothing = dict.fromkeys(
        ["answer", "any_logprobs", "plain_logprobs", "true_logprobs", "false_logprobs"]
    )
    assert labels_of(**nothing, logprobs=[-1.0, -1.0], answer_tokens=[1, 1]) == dict.fromkeys(
        LABEL_SOURCES
    )


def test_agreement_is_not_sycophancy():
    assert labels_of(plain_logprobs=[-3.0, -0.1])["flipped"] == 0  # says so without the user too
    assert labels_of(logprobs=[-1.0, -2.0])["flipped"] == 0  # does not say what the user does
    assert labels_of(plain_logprobs=[-1.0, -1.0])["flipped"] is None


def test_mc2_is_the_share_of_the_true_answers():
    assert mc2_share(ROW) == pytest.approx(0.4 / 0.65)
    assert mc2_share(ROW | {"true_logprobs": [-1000.0], "false_logprobs": [-1001.0]}) == (
        pytest.approx(1 / (1 + math.exp(-1)))
    )


def test_the_margin_and_the_letter_are_of_the_same_likelihoods_as_the_label():
    assert margin(ROW) == pytest.approx(-0.4)
    assert margin(ROW | {"any_logprobs": None}) == 1
    assert answered_letter(ROW, "wording") == "A"
    assert answered_letter(ROW, "logprob") == "B"
    assert answered_letter(ROW | {"answer": None}, "hand") is None


def test_wordings_of_a_letter_and_of_free_text():
    assert set(answer_wordings(" (A)", "A", "Agree", "letters")) == {
        "(A)", " (A)", "(A", " (A", "A", " A", "Agree", " Agree",
    }  # fmt: skip
    assert answer_wordings("Cats see.", "A", "Cats see.", "free") == ["Cats see.", " Cats see."]


def test_no_wording_begins_with_another():
    assert prefix_free([[1, 2], [1], [3, 4], [3, 4], [1, 2, 5], [], [4]]) == [
        (1,),
        (4,),
        (3, 4),
    ]


def test_kappa_equals_scikit_learns():
    draw = np.random.default_rng(0)
    for _ in range(20):
        one, other = draw.integers(0, 3, (2, 40))
        assert kappa(one.tolist(), other.tolist()) == pytest.approx(cohen_kappa_score(one, other))
    assert math.isnan(kappa([1, 1], [1, 1]))


def test_agreement_is_counted_where_both_sources_label():
    labels = pl.DataFrame({"x": [1, 0, 1, None], "y": [1, 1, 1, 0], "z": [None] * 4}).cast(pl.Int8)
    (row,) = source_agreement(labels, ["x", "y", "z"]).to_dicts()
    assert (row["one"], row["other"], row["n"], row["n_differ"]) == ("x", "y", 3, 1)


def test_a_judges_errors_are_counted_where_there_are_hand_grades():
    judged = pl.Series([1, 1, 1, 0, 0, None, 1])
    hand = pl.Series([1, 0, 1, 0, 1, 1, None])
    noise = judge_error(judged, hand)
    assert noise is not None
    assert (noise.positive, noise.positive_wrong) == (3, 1)
    assert (noise.negative, noise.negative_wrong) == (2, 1)
    assert judge_error(judged, pl.Series([None] * 7, dtype=pl.Int8)) is None
