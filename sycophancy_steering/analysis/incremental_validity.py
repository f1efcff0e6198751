"""What a projection adds to two simpler predictors: the words of the prompt, the logit margin.

Every predictor is fitted once, on all of `select`, and its scores on `test` are those of this one
fit. Cross-fitted log-odds enter on `select` alone, as the feature that stands for the words, so
that they cannot be learned by heart. No AUROC is computed of scores pooled over folds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.prompt_texts import prompt_texts
from sycophancy_steering.schemas.analysis import INCREMENTAL_VALIDITY
from sycophancy_steering.schemas.predictivity import SCORES
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.auroc_difference import auroc_difference
from sycophancy_steering.statistics.estimates import Estimate, undefined
from sycophancy_steering.statistics.stratified_auroc import (
    clustered_stratified_auroc,
    enough_items,
    informative_answers,
    stratified_auroc_difference,
)
from sycophancy_steering.statistics.text_baseline import (
    bag_of_words_log_odds,
    logistic_log_odds,
    subsample_answers,
)
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

ALL_FAMILIES = "all together"
"""The family of rows that pool all families: there, telling families apart helps too."""
PREDICTORS = {
    "text": ("text",),
    "margin": ("margin",),
    "projection": ("projection",),
    "text + projection": ("text", "projection"),
    "margin + projection": ("margin", "projection"),
}
"""The features of each predictor; what the projection adds is relative to the first."""
STRATA = ("item", "template")
"""What is held fixed in the columns within_NAME_auroc."""


def incremental_validity(answers: pl.DataFrame) -> pl.DataFrame:
    """The table INCREMENTAL_VALIDITY: a row a group of answers and predictor.

    `answers` has `family`, `source`, `split`, `item`, `template`, `label`, `text`, `margin` and
    `projection`, a row a labelled answer. Groups are families, the sources of a family that has
    several, and all answers. A group with one class of answers in either split has no row. Open
    answers have no margin (null): what rests on it is undefined where there are some.
    """
    rows = []
    for family, source, group in answer_groups(answers):
        select, test = (group.filter(pl.col("split") == split) for split in ("select", "test"))
        if min(part["label"].n_unique() for part in (select, test)) == 2:
            rows += [{"family": family, "source": source} | row for row in _rows(select, test)]
    return pl.DataFrame(rows, schema=INCREMENTAL_VALIDITY.columns)


def answer_groups(answers: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Family, source and answers: each family, each of its sources if it has several, and all."""
    n_families = answers["family"].n_unique()
    for (family,), of_family in answers.group_by("family", maintain_order=True):
        yield str(family), EVERY_SOURCE, of_family
        if of_family["source"].n_unique() > 1:
            for (source,), of_source in of_family.group_by("source", maintain_order=True):
                yield str(family), str(source), of_source
    if n_families > 1:
        yield ALL_FAMILIES, EVERY_SOURCE, answers


def _rows(select: pl.DataFrame, test: pl.DataFrame) -> list[dict[str, object]]:
    labels = select["label"].to_numpy().astype(int)
    cross_fitted, text = bag_of_words_log_odds(
        select["text"].to_list(),
        labels,
        select["item"].to_numpy().astype(str),
        test["text"].to_list(),
    )
    columns = ("margin", "projection")
    features = {name: select[name].to_numpy() for name in columns} | {"text": cross_fitted}
    test_features = {name: test[name].to_numpy() for name in columns} | {"text": text}
    known = {name for name, values in features.items() if not np.isnan(values).any()}
    log_odds = {
        predictor: logistic_log_odds(
            np.stack([features[name] for name in names], axis=1),
            labels,
            np.stack([test_features[name] for name in names], axis=1),
        )
        for predictor, names in PREDICTORS.items()
        if known.issuperset(names)
    }
    counts = {"n": len(test), "n_items": test["item"].n_unique()}
    counts |= {f"n_mixed_{name}s": _n_mixed(test, name) for name in STRATA}
    rows = []
    for predictor, names in PREDICTORS.items():
        baseline = log_odds.get(names[0]) if len(names) > 1 else None
        estimates = _estimates(log_odds.get(predictor), baseline, test)
        rows.append({"predictor": predictor, **counts, **estimates})
    return rows


def _estimates(
    scores: Floats | None, baseline: Floats | None, test: pl.DataFrame
) -> dict[str, float]:
    """The AUROCs of `scores` (n,) on the answers of `test`, over all and within strata, and what
    they add to those of `baseline` (n,), where there is one.

    Undefined without scores, within strata of too few items, and within the only stratum.
    """
    labels, items = test["label"].to_numpy().astype(int), test["item"].to_numpy().astype(str)
    if scores is None:
        names = [name for stratum in STRATA for name in _within(stratum)]
        return _single_row(dict.fromkeys(["auroc", "added_auroc", *names], undefined((1,))))
    estimates = {"auroc": clustered_auroc(scores[None], labels, items)}
    estimates["added_auroc"] = (
        undefined((1,))
        if baseline is None
        else auroc_difference(scores[None], baseline, labels, items)
    )
    for name in STRATA:
        strata = test[name].to_numpy().astype(str)
        within, added = undefined((1,)), undefined((1,))
        if test[name].n_unique() > 1 and enough_items(labels, strata, items):
            within = clustered_stratified_auroc(scores[None], labels, strata, items).auroc
            if baseline is not None:
                added = stratified_auroc_difference(scores[None], baseline, labels, strata, items)
        estimates |= dict(zip(_within(name), (within, added), strict=True))
    return _single_row(estimates)


def _within(stratum: str) -> tuple[str, str]:
    """Names of an AUROC within strata, and of what a projection adds to it."""
    return f"within_{stratum}_auroc", f"added_within_{stratum}_auroc"


def _single_row(estimates: dict[str, Estimate]) -> dict[str, float]:
    return {
        column: float(value[0])
        for name, estimate in estimates.items()
        for column, value in estimate.columns(name).items()
    }


def _n_mixed(test: pl.DataFrame, column: str) -> int:
    """The number of items, or of templates, with answers of both classes."""
    strata = test[column].to_numpy().astype(str)
    mixed = informative_answers(test["label"].to_numpy().astype(int), strata)
    return len(np.unique(strata[mixed]))


def incremental_validity_table(study: ModelStudy) -> pl.DataFrame:
    """The table INCREMENTAL_VALIDITY of the headline vector, read after the prompt.

    Of each family and split at most 1,024 answers, drawn at random. Raises InputError where the
    vector has no scores.
    """
    headline = (pl.col("vector") == study.suite.headline_variant) & (pl.col("position") == "prompt")
    scores = (
        SCORES.scan(model=study.model, prompt_set=study.suite.headline_set)
        .filter(headline)
        .collect()
    )
    if not len(scores):
        raise InputError(
            f"params.yaml: headline: no vector {study.suite.headline} of {study.model}"
        )
    scores = subsample_answers(scores)
    texts = prompt_texts(study.evaluation.prompts_path, scores["id"])
    margins = study.evaluation.labels.select("id", "margin", "template")
    answers = scores.join(texts, on="id", how="left", maintain_order="left").join(
        margins, on="id", how="left", maintain_order="left"
    )
    return incremental_validity(answers)
