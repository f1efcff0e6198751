"""What a projection adds to what is there without it: the words of the prompt, the logit margin.

Every model is fitted on `select` and tried on `test`. So that the words cannot be learned by heart,
what they add up to on `select` itself is told by models fitted on other items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lib.comparison import auroc_difference
from lib.statistics import Estimate, Floats, clustered_auroc

ALL = "all together"
"""The family of rows that pool all families: there, telling families apart helps too."""
WAYS = {
    "text": ("text",),
    "margin": ("margin",),
    "projection": ("projection",),
    "text + projection": ("text", "projection"),
    "margin + projection": ("margin", "projection"),
}
"""What is tried, and from which features."""


def text_odds(
    texts: Sequence[str], labels: NDArray[np.integer], items: NDArray[np.str_], new: Sequence[str]
) -> tuple[Floats, Floats]:
    """Log-odds of a bag of words: of `texts` (n,) by models of other items, and of `new` (m,).

    Logistic regression on which words and pairs of words are there, L2 chosen by cross-validation
    over items.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        CountVectorizer(binary=True, ngram_range=(1, 2), min_df=2, token_pattern=r"(?u)\b\w+\b"),
        LogisticRegression(max_iter=1000),
    )
    folds = [*GroupKFold(min(5, len(np.unique(items)))).split(texts, labels, items)]
    search = GridSearchCV(
        model, {"logisticregression__C": [0.01, 0.1, 1.0]}, scoring="neg_log_loss", cv=folds
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


def gains(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a family and way of predicting: its AUROC on `test`, and what the projection adds.

    `answers` holds, for each labelled answer, `family`, `split`, `item`, `label`, `text`, `margin`
    and `projection`. A family whose answers are all alike in either split has no row.
    """
    rows = []
    groups = [(str(k[0]), held) for k, held in answers.group_by("family", maintain_order=True)]
    for family, held in [*groups, (ALL, answers)] if len(groups) > 1 else groups:
        select, test = (held.filter(pl.col("split") == split) for split in ("select", "test"))
        if min(part["label"].n_unique() for part in (select, test)) < 2:
            continue
        rows += _gains(family, select, test)
    kinds = {"family": pl.String, "way": pl.String, "n": pl.Int64, "items": pl.Int64}
    ends = [f"{name}{end}" for name in ("auroc", "gain") for end in ("", "_low", "_high")]
    return pl.DataFrame(rows, schema=kinds | dict.fromkeys(ends, pl.Float64))


def _gains(family: str, select: pl.DataFrame, test: pl.DataFrame) -> list[dict[str, object]]:
    labels, told = select["label"].to_numpy().astype(int), test["label"].to_numpy().astype(int)
    items = test["item"].to_numpy().astype(str)
    own, new = text_odds(
        select["text"].to_list(),
        labels,
        select["item"].to_numpy().astype(str),
        test["text"].to_list(),
    )
    learned = {name: select[name].to_numpy() for name in ("margin", "projection")} | {"text": own}
    tried = {name: test[name].to_numpy() for name in ("margin", "projection")} | {"text": new}
    scores = {
        way: joined(
            np.stack([learned[name] for name in names], axis=1),
            labels,
            np.stack([tried[name] for name in names], axis=1),
        )
        for way, names in WAYS.items()
    }
    rows = []
    for way, names in WAYS.items():
        area = clustered_auroc(scores[way][None], told, items)
        gain = Estimate(*(np.full(1, np.nan) for _ in range(3)))
        if len(names) > 1:
            gain = auroc_difference(scores[way][None], scores[names[0]], told, items)
        row: dict[str, object] = {
            "family": family,
            "way": way,
            "n": len(told),
            "items": len(np.unique(items)),
        }
        for name, each in (("auroc", area), ("gain", gain)):
            ends = {"": each.value, "_low": each.low, "_high": each.high}
            row |= {f"{name}{end}": float(value[0]) for end, value in ends.items()}
        rows.append(row)
    return rows
