"""What a projection adds to the prompt's words and to the logit margin."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from sycophancy_steering.analysis.incremental_validity import ALL_FAMILIES, incremental_validity
from sycophancy_steering.statistics.text_baseline import bag_of_words_log_odds


def answers(seed: int = 0, n: int = 600) -> pl.DataFrame:
    """Labels with three causes: a word, the margin's, and one that only the projection knows."""
    draw = np.random.default_rng(seed)
    word, margin, inner = draw.normal(size=(3, n))
    label = (word + margin + inner + 0.5 * draw.normal(size=n) > 0).astype(int)
    item = np.arange(n) // 6
    return pl.DataFrame(
        {
            "family": ["f" if k % 2 else "g" for k in range(n)],
            "source": ["s" if k % 2 or k % 4 else "t" for k in range(n)],
            "split": ["select" if k < n // 2 else "test" for k in item],
            "item": [f"item{k}" for k in item],
            "label": label,
            "text": [
                f"about item{k} {'surely' if w > 0 else 'perhaps'}"
                for k, w in zip(item, word, strict=True)
            ],
            "margin": margin,
            "projection": inner,
        }
    ).with_columns(pl.Series("split", np.where(item < n // 12, "select", "test")))


def table(found: pl.DataFrame) -> dict[tuple[str, str], dict]:
    whole = found.filter(pl.col("source") == "all")
    return {(row["family"], row["predictor"]): row for row in whole.iter_rows(named=True)}


def test_what_only_the_projection_knows_is_a_gain_over_words_and_margin():
    found = table(incremental_validity(answers()))
    assert {family for family, _ in found} == {"f", "g", ALL_FAMILIES}
    for over in ("text", "margin"):
        row = found[ALL_FAMILIES, f"{over} + projection"]
        assert row["added_auroc_low"] > 0.03
        gap = row["auroc"] - found[ALL_FAMILIES, over]["auroc"]
        assert row["added_auroc"] == pytest.approx(gap, abs=1e-12)
        assert np.isnan(found[ALL_FAMILIES, over]["added_auroc"])


def test_a_projection_that_says_what_the_margin_says_adds_nothing():
    given = answers().with_columns(pl.col("margin").alias("projection"))
    row = table(incremental_validity(given))[ALL_FAMILIES, "margin + projection"]
    assert row["added_auroc"] == pytest.approx(0, abs=1e-9)


def test_words_are_told_by_models_of_other_items():
    draw = np.random.default_rng(1)
    items = np.repeat([f"item{k}" for k in range(40)], 6)
    labels = np.repeat(draw.integers(0, 2, 40), 6)  # the item's name gives its label away
    texts = [f"about {item}" for item in items]
    own, new = bag_of_words_log_odds(texts, labels, items, texts)
    assert roc_auc_score(labels, own) < 0.6
    assert roc_auc_score(labels, new) > 0.9  # as would be read without folds


def test_a_word_that_tells_is_found():
    given = answers(2)
    known = (given["text"].str.contains("surely")).cast(pl.Int64)
    found = table(incremental_validity(given.with_columns(known.alias("label"))))
    assert found["f", "text"]["auroc"] == pytest.approx(1)


def test_a_family_whose_answers_are_all_alike_has_no_row():
    given = answers().with_columns(
        pl.when(pl.col("family") == "g").then(1).otherwise("label").alias("label")
    )
    assert {family for family, _ in table(incremental_validity(given))} == {"f", ALL_FAMILIES}
    assert len(incremental_validity(given.with_columns(pl.lit(1).alias("label")))) == 0
