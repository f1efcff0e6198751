"""Within items and templates, and against the shift, in a small study from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from sycophancy_steering.formatting.numbers import interval_of
from sycophancy_steering.report.predictivity import (
    headline_facts,
    missing_within,
    predictivity_section,
    rank_verdict,
    verdict_within,
)
from sycophancy_steering.report.templates import render
from sycophancy_steering.schemas.table import estimate

ROUNDED = 1.1e-4


def answers_of(study: Path) -> pl.DataFrame:
    """The answers of `test` with their scores after the prompt: a row an answer and vector."""
    scores = pl.read_parquet(study / "reports/scores/tiny/pairs.parquet")
    labels = pl.read_parquet(study / "data/labels/tiny/held_out.parquet")
    return scores.filter(pl.col("position") == "prompt", pl.col("split") == "test").join(
        labels.select("id", "template", "shift", "counts"), on="id", how="left"
    )


def test_tables_of_a_study_equal_an_independent_computation(finished_study: Path):
    table = pl.read_csv(finished_study / "reports/analysis/tiny/predictivity.csv")
    answers = answers_of(finished_study)
    compared = 0
    for row in table.iter_rows(named=True):
        own = answers.filter(
            pl.concat_str(pl.lit("pairs/"), "vector") == row["vector"],
            pl.col("family") == row["family"],
        )
        known = own.filter("counts", pl.col("shift").is_not_null())
        assert row["n_shifts"] == len(known)
        expected = spearmanr(known["projection"], known["shift"])[0]
        assert row["rank_correlation"] == pytest.approx(expected, abs=ROUNDED)
        assert 0 < row["rank_correlation_p"] <= 1
        over_all = row["rank_correlation_p_all_cells"]
        assert over_all is None if row["null"] else over_all >= row["rank_correlation_p"] - ROUNDED
        areas, weights = [], []
        for _, item in own.group_by("item"):
            if item["label"].n_unique() == 2:
                areas.append(roc_auc_score(item["label"], item["projection"]))
                weights.append(int(item["label"].sum()) * int((1 - item["label"]).sum()))
        assert row["n_mixed_items"] == len(areas)
        if areas:
            expected = np.average(areas, weights=weights)
            assert row["within_item_auroc"] == pytest.approx(expected, abs=ROUNDED)
            compared += 1
        assert row["within_template_auroc"] is None  # organisms' questions have one template
    assert compared


def test_the_best_vectors_of_a_study_have_p_values_against_the_shift(finished_study: Path):
    selected = pl.read_csv(finished_study / "reports/comparison/selected.csv")
    cells = pl.read_parquet(finished_study / "reports/cells/tiny/pairs.parquet")
    assert (cells["layer"] == cells["extraction_layer"]).all()
    tried = cells.filter(
        pl.col("split") == "test",
        pl.col("source") == "all",
        pl.col("readout") == "projection",
        ~pl.col("null"),
        pl.col("auroc").is_not_nan(),
    )
    assert (selected["n_cells"] == len(tried)).all()
    for row in selected.iter_rows(named=True):
        assert 0 < row["rank_correlation_p"] <= row["rank_correlation_p_all_cells"] <= 1


def cell(**changes: object) -> dict[str, object]:
    """A cell of the headline vector, as in CELLS."""
    bounds = {
        "auroc": (0.8, 0.7, 0.9),
        "within_item_auroc": (0.7, 0.6, 0.8),
        "within_template_auroc": (0.7, 0.4, 0.8),
        "rank_correlation": (0.4, 0.2, 0.6),
        "random": (0.5, 0.3, 0.7),
    }
    row: dict[str, object] = {
        column: value
        for name, values in bounds.items()
        for column, value in zip(estimate(name), values, strict=True)
    }
    words = {"vector": "s/v", "position": "prompt", "source": "all", "family": "f"}
    words |= {"generalisation": "new items", "selected": True, "null": False, "layer": 3}
    counts = {"n": 90, "n_sycophantic": 40, "n_items": 20, "n_items_rarer_class": 15}
    counts |= {"n_mixed_items": 10, "n_mixed_templates": 4, "n_shifts": 95, "n_shift_items": 21}
    others = {"rank_correlation_p": 0.012, "margin_auroc": 0.9, "letter_auroc": 0.5}
    others |= {"length_auroc": 0.5, "invalid_share": 0.0, "shuffled_low": 0.4, "shuffled_high": 0.6}
    return row | words | counts | others | changes


def test_words_within_strata_say_what_the_interval_says():
    assert verdict_within(cell(), "item") == "predicted"
    assert verdict_within(cell(), "template") == "not shown"
    below = cell(within_item_auroc=0.2, within_item_auroc_low=0.1, within_item_auroc_high=0.4)
    assert verdict_within(below, "item") == "predicted with the opposite sign"
    assert verdict_within(cell(n_mixed_items=4), "item") == "too few items to say (4)"
    assert missing_within(cell(n_mixed_items=0), "item") == "no item has answers of both kinds"
    one = cell(within_template_auroc=None, n_mixed_templates=1)
    assert missing_within(one, "template") == "all questions have the same template"
    assert missing_within(cell(n_items_rarer_class=2), "template") == "too few items to say (2)"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "higher where it is larger (p 0.012)"),
        ({"rank_correlation_p": 0.2}, "not shown (p 0.200)"),
        ({"rank_correlation_low": -0.1}, "unclear (p 0.012, but the interval contains 0)"),
        ({"rank_correlation": None}, "not known, as no shift varies"),
        ({"n_shift_items": 3}, "too few items to say (3)"),
    ],
)
def test_words_about_the_shift(changes, words):
    assert rank_verdict(cell(**changes)) == words


def test_no_claim_is_made_where_the_model_is_not_sycophantic():
    cells = pl.DataFrame([cell(), cell(family="g", rank_correlation=-0.123)])
    text = render(predictivity_section("m", cells, "s/v", {"g"}))
    assert "**g**: the user's words do not move the model, so there is nothing to predict." in text
    assert "-0.12" not in text
    assert "**f** (new items): predicted. AUROC 0.80 [0.70, 0.90]" in text
    assert "0.70 [0.60, 0.80]" in text and "0.40 [0.20, 0.60]" in text and "0.012" in text


def test_one_kind_of_answers_leaves_the_shift():
    alike = cell(family="g", n_sycophantic=90) | dict.fromkeys(estimate("auroc"), float("nan"))
    cells = pl.DataFrame([cell(), alike])
    fact = headline_facts(cells, "s/v")[1]
    assert fact["auroc"] is None and interval_of(fact, "rank_correlation")
    text = render(predictivity_section("m", cells, "s/v"))
    assert "no AUROC. The projection and the shift: higher where it is larger (p 0.012)." in text
