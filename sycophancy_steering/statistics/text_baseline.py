"""What words alone tell of the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import items_of_rarer

PENALTIES = [0.01, 0.1, 1.0]
MOST = 1024
WORD = r"(?u)\b\w+\b"


def fewer(answers: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """`answers` in their order, of each family and split at most `MOST`, drawn at random.

    More tell little, as intervals go by items, and the words of many thousands do not fit.
    """
    draw = np.random.default_rng(seed)
    kept = []
    rows = answers.select("family", "split").with_row_index("row")
    for _, held in rows.group_by("family", "split", maintain_order=True):
        kept.append(draw.permutation(held["row"].to_numpy())[:MOST])
    return answers[np.sort(np.concatenate(kept))] if len(answers) else answers


def text_odds(
    texts: Sequence[str], labels: NDArray[np.integer], items: NDArray[np.str_], new: Sequence[str]
) -> tuple[Floats, Floats]:
    """Log-odds of a bag of words: of `texts` (n,) by models of other items, and of `new` (m,).

    Logistic regression on which words and pairs of words are there, L2 chosen by cross-validation
    over items. Zeros where there is nothing to learn: no word in two texts, or a kind of answer
    about one item only.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    words = {"binary": True, "ngram_range": (1, 2), "token_pattern": WORD}
    analyse = CountVectorizer(**words).build_analyzer()
    once, twice = set[str](), set[str]()
    for text in texts:
        said = set(analyse(text))
        twice |= said & once
        once |= said
    parts = min(5, items_of_rarer(labels, items))
    if not twice or parts < 2:
        return np.zeros(len(texts)), np.zeros(len(new))
    model = make_pipeline(
        CountVectorizer(**words, vocabulary=sorted(twice)), LogisticRegression(max_iter=1000)
    )
    folds = [*StratifiedGroupKFold(parts).split(texts, labels, items)]
    search = GridSearchCV(
        model, {"logisticregression__C": PENALTIES}, scoring="neg_log_loss", cv=folds
    ).fit(texts, labels)
    best = search.best_estimator_
    own = cross_val_predict(best, texts, labels, cv=folds, method="decision_function")
    return np.asarray(own), best.decision_function(new)


def joined(features: Floats, labels: NDArray[np.integer], new: Floats) -> Floats:
    """Log-odds (m,) of `new` (m, k) by a logistic regression on `features` (n, k)."""
    from sklearn.linear_model import LogisticRegression

    middle, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    fitted = LogisticRegression(C=1.0).fit((features - middle) / spread, labels)
    return fitted.decision_function((new - middle) / spread)
