"""How well a score tells labels apart, by the study's own statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.power.detectable_auroc import detectable_auroc
from sycophancy_steering.power.planted_questions import Questions
from sycophancy_steering.statistics.auroc import (
    LEAST_ITEMS,
    clustered_auroc,
    n_items_of_rarer_class,
)
from sycophancy_steering.statistics.average_precision import average_precision
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share
from sycophancy_steering.statistics.estimates import Estimate
from sycophancy_steering.statistics.permuted_labels import permuted_auroc_range
from sycophancy_steering.statistics.rank_correlation import (
    clustered_rank_correlation,
    item_rank_influences,
)
from sycophancy_steering.statistics.sign_flips import item_influences, observed_statistics
from sycophancy_steering.statistics.stratified_auroc import (
    clustered_stratified_auroc,
    item_stratified_influences,
)

N_PERMUTATIONS = 999
"""Of labels, and of the items' signs: as many as in the default study."""
N_DRAWS = 100
"""Random studies of each size, for the smallest AUROC that could have been found."""
MOST_FOR_POWER = 20_000
"""Rows up to which those are drawn: more take minutes, and could find almost anything."""
BLOCK_ITEMS = 4096
"""Items whose signs are drawn at once."""


@dataclass(frozen=True)
class Result:
    """An estimate with its 95% interval, clustered, and a p-value by sign flips of clusters."""

    estimate: Estimate
    p: float | None = None
    note: str = ""
    """What is to be known besides, in words."""


@dataclass(frozen=True)
class ScoreReport:
    """What a table of scores and labels says."""

    n: int
    n_clusters: int
    is_binary: bool
    results: dict[str, Result]
    """By name: `base_rate` (or `mean_label`), `auroc`, `average_precision`, ..."""
    detectable_auroc: float | None
    """The smallest true AUROC that these answers would have shown in 80% of studies."""
    notes: list[str]

    def flat(self) -> dict[str, object]:
        """The same under flat keys, as the study's own metrics; None for what is undefined."""
        values: dict[str, object] = {"n": self.n, "n_clusters": self.n_clusters}
        for name, result in self.results.items():
            for column, value in result.estimate.columns(name).items():
                values[column] = None if np.isnan(value) else float(value)
            if result.p is not None:
                values[f"{name}_p"] = result.p
            if result.note:
                values[f"{name}_note"] = result.note
        values["detectable_auroc"] = self.detectable_auroc
        return values | {"notes": self.notes}


def score_report(
    scores: Floats, labels: Floats, clusters: Names, strata: Names | None, seed: int = 0
) -> ScoreReport:
    """Every statistic of `scores` (n,) against `labels` (n,), which may correlate in `clusters`.

    Labels of 0 and 1 have AUROCs and average precision, others the rank correlation alone. With
    `strata` (n,), also the AUROC among the answers of one stratum.
    """
    is_binary = set(labels.tolist()) <= {0.0, 1.0}
    n_clusters = len(np.unique(clusters))
    notes = [] if n_clusters > 1 else ["all rows are one cluster: no interval can be estimated"]
    results, smallest = {}, None
    if is_binary:
        classes = labels.astype(np.int64)
        results = _of_classes(scores, classes, clusters, strata, seed)
        notes += _class_notes(classes, clusters)
        if len(scores) <= MOST_FOR_POWER:
            rows = np.arange(len(scores))
            smallest = detectable_auroc(Questions("all", "", rows, clusters, classes), N_DRAWS)
        else:
            notes.append(f"more than {MOST_FOR_POWER} rows: the detectable AUROC is not computed")
    else:
        results["mean_label"] = Result(clustered_mean(labels, clusters))
        notes.append("the label is not 0 or 1 throughout: AUROCs are undefined")
    correlation = clustered_rank_correlation(scores, labels, clusters)
    codes, n_items = _codes(clusters)
    statistic, influences = item_rank_influences(scores[None], labels, codes, np.arange(n_items))
    p = None if np.isnan(correlation.value) else sign_flip_p(statistic[0], influences[0], seed)
    results["rank_correlation"] = Result(correlation, p)
    return ScoreReport(len(scores), n_clusters, is_binary, results, smallest, notes)


def _of_classes(
    scores: Floats, labels: np.ndarray, clusters: Names, strata: Names | None, seed: int
) -> dict[str, Result]:
    codes, n_items = _codes(clusters)
    items = np.arange(n_items)
    low, high = permuted_auroc_range(scores, labels, N_PERMUTATIONS, seed)
    influences = item_influences(scores[None], labels, codes, items)
    has_both = 0 < labels.sum() < len(labels)
    results = {
        "base_rate": Result(clustered_share(labels == 1, clusters)),
        "auroc": Result(
            clustered_auroc(scores, labels, clusters),
            sign_flip_p(observed_statistics(influences)[0], influences[0], seed)
            if has_both
            else None,
            f"of permuted labels {low:.3f} to {high:.3f}" if has_both else "",
        ),
        "average_precision": Result(
            average_precision(scores, labels, clusters), note="chance is the base rate"
        ),
    }
    if strata is not None:
        within = clustered_stratified_auroc(scores, labels, strata, clusters)
        statistic, influences = item_stratified_influences(
            scores[None], labels, strata, codes, items
        )
        results["within_stratum_auroc"] = Result(
            within.auroc,
            sign_flip_p(statistic[0], influences[0], seed) if within.n_pairs else None,
            f"{within.n_pairs} pairs in {within.n_strata} strata, {within.n_items} clusters",
        )
    return results


def _class_notes(labels: np.ndarray, clusters: Names) -> list[str]:
    if len(set(labels.tolist())) < 2:
        return [f"every label is {labels[0]}: there is nothing to tell apart"]
    n_rarer = n_items_of_rarer_class(labels, clusters)
    if n_rarer < LEAST_ITEMS:
        return [f"the rarer class is in {n_rarer} clusters only: its intervals say little"]
    return []


def _codes(clusters: Names) -> tuple[np.ndarray, int]:
    """The clusters (n,) as numbers from 0, and how many there are."""
    names, codes = np.unique(clusters, return_inverse=True)
    return codes, len(names)


def sign_flip_p(observed: float, influences: Floats, seed: int) -> float:
    """The two-sided p-value of one statistic and its items' `influences` (n_items,).

    As `SignFlipTest`, with the signs that `random_signs` draws, a block of items at a time.
    """
    rng = np.random.default_rng(seed)
    flipped = np.zeros(N_PERMUTATIONS)
    for start in range(0, len(influences), BLOCK_ITEMS):
        block = influences[start : start + BLOCK_ITEMS]
        flipped += block @ rng.choice([-1.0, 1.0], (len(block), N_PERMUTATIONS))
    reached = np.abs(flipped) >= abs(observed) * (1 - 1e-12)
    return float((1 + reached.sum()) / (1 + N_PERMUTATIONS))
