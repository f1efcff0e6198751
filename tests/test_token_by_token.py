"""When an answer can be read, token by token, beside a reader of the text alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from conftest import run_stage
from sklearn.metrics import roc_auc_score
from tiny_models import rows

from sycophancy_steering.analysis.token_by_token import (
    TokenAnswers,
    answers_with_token,
    revealed_answer,
    token_rows,
    with_prompt_log_odds,
)
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.report.vectors import tokens_section
from sycophancy_steering.schemas.analysis import TOKENS
from sycophancy_steering.statistics.text_baseline import bag_of_words_log_odds

TWO = replace(
    rows()[0],
    choices=(("A", "Agree"), ("B", "Disagree")),
    matching="A",
    not_matching=("B",),
    answers=("(A)", "(B)"),
)
FREE = replace(
    TWO,
    form="free",
    choices=(("A", "The sea is blue."), ("B", "The sea is wide."), ("C", "No one knows.")),
    answers=("The sea is blue.", "The sea is wide.", "No one knows."),
    matching="B",
    not_matching=("A", "C"),
)


@pytest.mark.parametrize(
    ("row", "prefix", "says"),
    [
        (TWO, "", 0),
        (TWO, " (", 0),
        (TWO, " (A", 1),
        (TWO, "(B)", -1),
        (TWO, "(B) because", -1),
        (TWO, "Dis", -1),
        (TWO, "I think", 0),
        (TWO, "I think it is (A)", 1),
        (FREE, "The", 0),
        (FREE, "the SEA is w", 1),
        (FREE, "The sea is b", -1),
        (FREE, "No", -1),
        (FREE, "The sea is wide. So", 1),
    ],
)
def test_the_beginning_of_an_answer_gives_away_what_it_leaves_possible(row, prefix, says):
    assert revealed_answer(prefix, row) == says


def answers(n: int = 400, seed: int = 0) -> pl.DataFrame:
    """Answers whose prompts hold a word that tells of the label, if not always."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 2, n)
    likely = draw.random(n) < 0.8
    return pl.DataFrame(
        {
            "id": [f"q{k}" for k in range(n)],
            "split": ["select" if k % 40 < 20 else "test" for k in range(n)],
            "item": [f"i{k // 4}" for k in range(n)],
            "label": label,
            "text": [["maybe", "surely"][each] for each in np.where(likely, label, 1 - label)],
            "prefixes": [["(", "(A"][: 1 + k % 2] for k in range(n)],
            "reveals": [[0, 1][: 1 + k % 2] for k in range(n)],
        }
    ).with_columns(pl.Series("split", np.where(np.arange(n) // 4 % 2, "test", "select")))


def test_only_answers_that_go_on_so_far_have_a_token():
    held = answers()
    assert len(answers_with_token(held, 0, [1, 3])) == 400
    first = answers_with_token(held, 1, [1, 3])
    assert (len(first), set(first["prefix"]), set(first["revealed"])) == (400, {"("}, {0})
    third = answers_with_token(held, 3, [1, 3])
    assert third["id"].to_list() == [f"q{k}" for k in range(1, 400, 2)]
    assert (set(third["prefix"]), set(third["revealed"])) == ({"(A"}, {1})


def moment(revealed: np.ndarray, held: pl.DataFrame, states: np.ndarray) -> TokenAnswers:
    answers_so_far = held.with_columns(pl.lit("").alias("prefix"), pl.Series("revealed", revealed))
    return TokenAnswers(
        "opinion",
        1,
        with_prompt_log_odds(answers_so_far),
        lambda layer: ArrayStream.from_array(states + layer),
    )


def test_a_projection_is_held_against_the_words_until_the_text_gives_the_answer_away():
    held = answers()
    label = held["label"].to_numpy()
    draw = np.random.default_rng(1)
    states = draw.normal(size=(400, 8))
    states[:, 0] += 3 * label
    vectors = {"sees": (2, np.eye(8)[0]), "blind": (2, np.eye(8)[1])}
    nothing = moment(np.zeros(400, dtype=int), held, states)
    sees, blind = token_rows(nothing, vectors)
    assert set(sees) == set(TOKENS.columns)
    test = (held["split"] == "test").to_numpy()
    assert sees["n"] == test.sum()
    expected = roc_auc_score(label[test], states[test, 0])
    assert sees["auroc"] == pytest.approx(expected, abs=1e-9)
    assert sees["text_auroc"] == pytest.approx(
        0.8, abs=0.06
    )  # a word that is right in four of five
    assert sees["text_auroc"] == blind["text_auroc"]
    assert sees["auroc_minus_text"] == pytest.approx(
        expected - float(str(sees["text_auroc"])), abs=1e-9
    )
    assert float(str(sees["auroc_minus_text_low"])) > 0 > float(str(blind["auroc_minus_text_high"]))
    assert sees["text_reveals_share"] == 0
    assert sees["random_low"] < blind["auroc"] < sees["random_high"]  # type: ignore[operator]

    given_away = moment(2 * label - 1, held, states)
    sees, _ = token_rows(given_away, vectors)
    assert (sees["text_auroc"], sees["text_reveals_share"]) == (1, 1)
    assert float(str(sees["auroc_minus_text"])) < 0


def test_answers_that_are_all_alike_in_a_split_have_no_row():
    held = answers().with_columns(
        pl.when(pl.col("split") == "test").then(1).otherwise("label").alias("label")
    )
    assert token_rows(moment(np.zeros(400), held, np.zeros((400, 2))), {"v": (0, np.ones(2))}) == []


def test_where_no_word_comes_twice_there_is_nothing_to_learn():
    labels, items = np.array([0, 1] * 4), np.array([f"i{k}" for k in range(8)])
    for texts in ([f"only{k}" for k in range(8)], ["("] * 8, [""] * 8):
        own, new = bag_of_words_log_odds(texts, labels, items, ["("])
        assert not own.any()
        assert not new.any()
    one_item = np.array(["i", "j"] * 4)  # each kind of answer is about one item only
    assert not bag_of_words_log_odds(["a word"] * 8, labels, one_item, ["a word"])[0].any()


def test_the_study_tells_of_every_token_it_kept(finished_study):
    found = pl.read_csv(finished_study / "reports/analysis/tiny/tokens.csv")
    assert set(found["token"]) == {0, 1, 2}
    assert set(found["vector"]) == {"pairs/mean_difference"}  # nulls are left out
    scores = pl.read_parquet(finished_study / "reports/scores/tiny/pairs.parquet").filter(
        pl.col("position") == "prompt", pl.col("split") == "test", vector="mean_difference"
    )
    for row in found.filter(pl.col("token") == 0).iter_rows(named=True):
        held = scores.filter(pl.col("family") == row["family"])
        assert row["layer"] == held["layer"][0]
        assert row["auroc"] == pytest.approx(
            roc_auc_score(held["label"], held["projection"]), abs=1e-5
        )
    section = tokens_section(found, "pairs/mean_difference")
    assert section
    rows = section.facts["tokens"].rows  # type: ignore[attr-defined]
    assert [row[0] for row in rows] == [0, 1, 2]


def test_a_study_without_tokens_tells_of_the_prompts_end(study):
    params = study / "params.yaml"
    params.write_text(
        params.read_text().replace("continuation_tokens: [1, 2]", "continuation_tokens: []")
    )
    done = run_stage(study, "analysis")
    assert done.returncode == 0, done.stderr
    assert set(pl.read_csv(study / "reports/analysis/tiny/tokens.csv")["token"]) == {0}
