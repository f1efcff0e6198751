"""Baselines of predictivity: the words of a text, and logistic regression on a few features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sycophancy_steering.foundation.arrays import Floats, Labels, Names
from sycophancy_steering.statistics.auroc import n_items_of_rarer_class

INVERSE_PENALTIES = [0.01, 0.1, 1.0]
"""scikit-learn's `C`, chosen by cross-validation; ties go to the stronger penalty, the first."""
MAX_ANSWERS = 1024
"""Of a family and split. Intervals depend on the number of items, so more answers add little."""
WORD_PATTERN = r"(?u)\b\w+\b"
CONVERGED = {"tol": 1e-10, "max_iter": 10_000}
"""Logistic regressions converge to where rounding cannot reorder answers."""


def subsample_answers(answers: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """At most `MAX_ANSWERS` random answers of each `family` and `split`, in their order."""
    rng = np.random.default_rng(seed)
    chosen = []
    rows = answers.select("family", "split").with_row_index("row")
    for _, group in rows.group_by("family", "split", maintain_order=True):
        chosen.append(rng.permutation(group["row"].to_numpy())[:MAX_ANSWERS])
    return answers[np.sort(np.concatenate(chosen))] if len(answers) else answers


def bag_of_words_log_odds(
    texts: Sequence[str], labels: Labels, items: Names, new: Sequence[str]
) -> tuple[Floats, Floats]:
    """Log-odds by the words of `texts` (n,), cross-fitted over items, and of `new` (m,).

    Logistic regression on the presence of words and word pairs that two texts share, its L2
    penalty chosen by cross-validation over items. Those of `new` are of one fit to all `texts`.
    Each fit's log-odds are less their mean over the texts that it was fitted to: a fold with more
    sycophantic answers leaves fewer to its fit, whose intercept is then lower, so that pooled
    scores would tell labels from below (Parker et al. 2007,
    https://doi.org/10.1186/1471-2105-8-326). Zeros where there is nothing to learn: no shared word,
    or a class with one item only.
    """
    from sklearn.base import clone
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    words = {"binary": True, "ngram_range": (1, 2), "token_pattern": WORD_PATTERN}
    analyse = CountVectorizer(**words).build_analyzer()
    seen, shared = set[str](), set[str]()
    for text in texts:
        terms = set(analyse(text))
        shared |= terms & seen
        seen |= terms
    n_folds = min(5, n_items_of_rarer_class(labels, items))
    if not shared or n_folds < 2:
        return np.zeros(len(texts)), np.zeros(len(new))
    counter = CountVectorizer(**words, vocabulary=sorted(shared))
    features = counter.transform(texts)
    folds = [*StratifiedGroupKFold(n_folds).split(features, labels, items)]
    best = (
        GridSearchCV(
            LogisticRegression(**CONVERGED),
            {"C": INVERSE_PENALTIES},
            scoring="neg_log_loss",
            cv=folds,
        )
        .fit(features, labels)
        .best_estimator_
    )
    own = np.zeros(len(texts))
    for fitted, held_out in folds:
        fit = clone(best).fit(features[fitted], labels[fitted])
        mean = fit.decision_function(features[fitted]).mean()
        own[held_out] = fit.decision_function(features[held_out]) - mean
    mean = best.decision_function(features).mean()
    return own, best.decision_function(counter.transform(new)) - mean


def logistic_log_odds(features: Floats, labels: Labels, new: Floats) -> Floats:
    """Log-odds (m,) of `new` (m, k) by logistic regression on `features` (n, k), standardised."""
    from sklearn.linear_model import LogisticRegression

    mean, sd = features.mean(0), features.std(0)
    sd = np.where(sd > 0, sd, 1.0)
    model = LogisticRegression(C=1.0, **CONVERGED).fit((features - mean) / sd, labels)
    return model.decision_function((new - mean) / sd)
