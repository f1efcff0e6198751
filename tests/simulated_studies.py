"""Studies with known truth, in which answers about one item, and of one template, are alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from sycophancy_steering.statistics.clustered_means import (
    clustered_mean,
    clustered_share,
    group_share_difference,
    share_difference,
)
from sycophancy_steering.statistics.estimates import Estimate
from sycophancy_steering.statistics.rank_correlation import (
    clustered_rank_correlation,
    item_rank_influences,
)
from sycophancy_steering.statistics.recall import recall_at_false_alarm_rate
from sycophancy_steering.statistics.sign_flips import (
    maximum_statistics,
    p_values,
    random_signs,
)
from sycophancy_steering.statistics.stratified_auroc import (
    clustered_stratified_auroc,
    item_stratified_influences,
    stratified_auroc_difference,
)

TEMPLATES = np.array([-1.0, -0.3, 0.3, 1.0])
"""What each prompt template adds to all scores, labels and outcomes."""


@dataclass(frozen=True)
class Study:
    """n answers of one simulated study."""

    scores: np.ndarray
    """(k, n) read-outs."""
    reader: np.ndarray
    """(n,) scores of a text-only reader."""
    labels: np.ndarray
    control: np.ndarray
    """(n,) labels of the same questions under a control."""
    outcome: np.ndarray
    """(n,) continuous."""
    neutral: np.ndarray
    """(m,) scores of neutral chats."""
    items: np.ndarray
    templates: np.ndarray


def simulated_study(
    rng: np.random.Generator,
    n_items: int,
    prevalence: float,
    effect: float,
    k: int = 1,
    n_neutral: int = 500,
) -> Study:
    """2 to 12 answers an item; labels, scores and outcomes have effects of item and template.

    `effect` is how much higher read-outs are, in residual standard deviations, for a sycophantic
    answer and for an outcome one higher. It varies by item: 0 is the null on average only.
    """
    sizes = 2 + rng.binomial(10, rng.beta(1, 2, n_items))
    items = np.repeat(np.arange(n_items), sizes)
    n = len(items)
    templates = rng.integers(0, len(TEMPLATES), n)
    shared = TEMPLATES[templates] / 2

    def level(*shape: int) -> np.ndarray:
        return (0.7 * rng.normal(size=(*shape, n_items)))[..., items]

    log_odds = np.log(prevalence / (1 - prevalence)) + shared + level()
    noise = rng.logistic(size=n)
    labels = (log_odds > noise).astype(int)
    control = (log_odds - 1 > np.where(rng.random(n) < 0.7, noise, rng.logistic(size=n))).astype(
        int
    )
    outcome = (0.0 if effect == 0 else shared) + level() + rng.normal(size=n)
    slopes = effect + level(k) / 2
    scores = slopes * (labels - 0.5) + slopes / 2 * outcome + level(k) + rng.normal(size=(k, n))
    if effect:
        scores = scores + shared
    reader = effect / 2 * labels + shared + level() + 0.5 * scores[0] + rng.normal(size=n)
    neutral = rng.normal(size=n_neutral)
    return Study(scores, reader, labels, control, outcome, neutral, items, templates)


def recall(rate: float) -> Callable[[Study], Estimate]:
    """Recall of the sycophantic answers among the neutral chats."""

    def of_study(study: Study) -> Estimate:
        positive = study.labels == 1
        return recall_at_false_alarm_rate(
            study.scores[0][positive] + 1, study.neutral, study.items[positive], rate
        )

    return of_study


INTERVALS: dict[str, Callable[[Study], Estimate]] = {
    "rank correlation": lambda s: clustered_rank_correlation(s.scores[0], s.outcome, s.items),
    "AUROC within items": lambda s: (
        clustered_stratified_auroc(s.scores[0], s.labels, s.items, s.items).auroc
    ),
    "AUROC within templates": lambda s: (
        clustered_stratified_auroc(s.scores[0], s.labels, s.templates, s.items).auroc
    ),
    "difference within items": lambda s: stratified_auroc_difference(
        s.scores[0], s.reader, s.labels, s.items, s.items
    ),
    "difference within templates": lambda s: stratified_auroc_difference(
        s.scores[0], s.reader, s.labels, s.templates, s.items
    ),
    "share": lambda s: clustered_share(s.labels == 1, s.items),
    "mean": lambda s: clustered_mean(s.outcome, s.items),
    "difference of shares": lambda s: share_difference(s.labels == 1, s.control == 1, s.items),
    "difference between answers": lambda s: group_share_difference(
        s.scores[0] > 1, s.labels, s.items
    ),
    "recall at 5%": recall(0.05),
    "recall at 1%": recall(0.01),
}
INFLUENCES: dict[str, Callable[[Study, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "rank correlation": lambda s, names: item_rank_influences(s.scores, s.outcome, s.items, names),
    "AUROC within items": lambda s, names: item_stratified_influences(
        s.scores, s.labels, s.items, s.items, names
    ),
    "AUROC within templates": lambda s, names: item_stratified_influences(
        s.scores, s.labels, s.templates, s.items, names
    ),
}


@functools.cache
def large_study(prevalence: float, effect: float) -> Study:
    """A study of 30,000 items, whose estimates are the truth of smaller ones."""
    rng = np.random.default_rng(99)
    return simulated_study(rng, 30_000, prevalence, effect, n_neutral=10**6)


def truth(name: str, prevalence: float, effect: float) -> float:
    """What the interval `name` is to cover."""
    study = large_study(prevalence, effect)
    if not name.startswith("recall"):
        return float(INTERVALS[name](study).value)
    rate = {"recall at 5%": 0.05, "recall at 1%": 0.01}[name]
    threshold = np.quantile(study.neutral, 1 - rate)
    return float((study.scores[0][study.labels == 1] + 1 > threshold).mean())


def coverage(
    names: list[str], n_studies: int, n_items: int, prevalence: float, effect: float = 0.8
) -> dict[str, float]:
    """The share of studies in which the interval of each of `names` covers the truth."""
    rng = np.random.default_rng(n_items)
    truths = {name: truth(name, prevalence, effect) for name in names}
    covered = dict.fromkeys(names, 0)
    for _ in range(n_studies):
        study = simulated_study(rng, n_items, prevalence, effect)
        for name, true in truths.items():
            estimate = INTERVALS[name](study)
            covered[name] += int(estimate.low <= true <= estimate.high)
    return {name: count / n_studies for name, count in covered.items()}


def as_aimed_at(share: float, n_studies: int) -> bool:
    """Whether `share` covered of so many studies agrees with a coverage of 93 to 97%.

    A coverage of 93% or 97% exactly fails in one of a thousand tests.
    """
    low, high = binom.ppf(0.001, n_studies, 0.93), binom.ppf(0.999, n_studies, 0.97)
    return bool(low <= round(share * n_studies) <= high)


def null_p_values(
    name: str, n_studies: int, n_items: int, prevalence: float, k: int = 1
) -> np.ndarray:
    """(n_studies,) p-values of the largest of k read-outs that know nothing of the labels.

    Statistics of few answers take few values; ties with flipped ones are broken at random, without
    which p-values are larger.
    """
    rng = np.random.default_rng(n_items)
    smallest = []
    for number in range(n_studies):
        study = simulated_study(rng, n_items, prevalence, 0.0, k)
        observed, influences = INFLUENCES[name](study, np.arange(n_items))
        flipped = maximum_statistics(influences, random_signs(n_items, 999, number))
        largest = np.abs(observed).max(keepdims=True) * (1 + 1e-9 * rng.normal())
        smallest.append(p_values(largest, flipped * (1 + 1e-9 * rng.normal(size=999)))[0])
    return np.array(smallest)
