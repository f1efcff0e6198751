"""What a projection adds to the prompt's words and to the logit margin."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

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
            "template": [f"template{k % 3}" for k in range(n)],
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


def test_within_items_and_templates_only_their_own_answers_are_compared():
    given = answers(3, n=900)
    found = table(incremental_validity(given))
    for kind in ("item", "template"):
        for predictor in ("text", "projection"):
            row = found[ALL_FAMILIES, predictor]
            assert row[f"within_{kind}_auroc_low"] > 0.5  # the causes vary within both
            assert np.isnan(row[f"added_within_{kind}_auroc"])
        row = found[ALL_FAMILIES, "text + projection"]
        gap = row[f"within_{kind}_auroc"] - found[ALL_FAMILIES, "text"][f"within_{kind}_auroc"]
        assert row[f"added_within_{kind}_auroc"] == pytest.approx(gap, abs=1e-12)
        assert row[f"added_within_{kind}_auroc_low"] > 0.02


def test_what_differs_between_items_alone_is_not_there_within_them():
    given = answers(4, n=900)
    draw = np.random.default_rng(0)
    level = dict(zip(given["item"].unique().sort(), draw.normal(size=150), strict=True))
    known = given["item"].replace_strict(level)
    label = (2 * known.to_numpy() + draw.logistic(size=900) > 0).astype(int)
    found = table(incremental_validity(given.with_columns(known.alias("projection"), label=label)))
    row = found[ALL_FAMILIES, "projection"]
    assert row["auroc_low"] > 0.6
    assert row["within_item_auroc"] == 0.5  # all answers of an item tie


def test_too_few_items_and_a_single_template_have_no_number():
    given = answers(5, n=900)
    number = given["item"].str.strip_prefix("item").cast(pl.Int64)
    one_answer = given.with_columns(template=pl.lit("")).filter(
        (number < 75) | (pl.int_range(pl.len()) % 6 == 0) | (number < 78)
    )
    row = table(incremental_validity(one_answer))[ALL_FAMILIES, "projection"]
    assert 0 < row["n_mixed_items"] < 5
    assert np.isnan(row["within_item_auroc"]) and np.isnan(row["within_template_auroc"])
    assert not np.isnan(row["auroc"])


def test_scores_are_not_biased_by_folds():
    """Pooled over folds, scores that know nothing tell labels from below; ours do not."""
    pooled, cross_fitted, of_new = [], [], []
    for seed in range(25):
        draw = np.random.default_rng(seed)
        texts, new = (
            [" ".join(draw.choice(list("abcdefghijkl"), 4, replace=False)) for _ in range(48)]
            for _ in range(2)
        )
        items = np.repeat([f"item{k}" for k in range(16)], 3)
        labels = np.where(draw.random(48) < 0.2, 1, 0) ^ np.repeat(draw.integers(0, 2, 16), 3)
        features = CountVectorizer(binary=True, token_pattern=r"\w").fit_transform(texts)
        naive = cross_val_predict(
            LogisticRegression(C=0.01),
            features,
            labels,
            cv=StratifiedGroupKFold(5).split(features, labels, items),
            method="decision_function",
        )
        own, scores = bag_of_words_log_odds(texts, labels, items, new)
        pooled.append(roc_auc_score(labels, naive))
        cross_fitted.append(roc_auc_score(labels, own))
        of_new.append(roc_auc_score(draw.permutation(labels), scores))
    error = 3 * np.std([pooled, cross_fitted, of_new], axis=1) / 5
    assert np.mean(pooled) + error[0] < 0.5
    assert abs(np.mean(cross_fitted) - 0.5) < error[1]
    assert abs(np.mean(of_new) - 0.5) < error[2]
