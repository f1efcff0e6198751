"""Agreement of graders beyond chance, with intervals clustered by item.

Every coefficient here is 1 - observed / expected disagreement (Cohen 1960 and 1968, Krippendorff
1970), where the disagreement of two grades is 1 if they differ or, for scores, their squared
difference. The error is the item-wise sum of the derivative by each answer's weight (the
infinitesimal jackknife, Efron 1982), the interval Student's t on the scale of log(1 - coefficient),
so that it never exceeds 1; bounds below -1 are cut off.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.estimates import (
    CONFIDENCE,
    Estimate,
    clustered_standard_error,
    t_quantile,
    undefined,
)

Grades = NDArray[np.float64]
"""Codes of categories, or scores."""


def cohen_kappa(
    one: Grades, other: Grades, clusters: NDArray[np.generic], *, squared: bool = False
) -> Estimate:
    """Cohen's kappa of two graders' grades (n,) of the same answers.

    With `squared`, that of scores, weighted by squared differences (Cohen 1968,
    https://doi.org/10.1037/h0026256); else that of categories (1960,
    https://doi.org/10.1177/001316446002000104). NaN where both give one and the same grade.
    """
    if not len(one):
        return undefined(())
    n = len(one)
    observed = _disagreement(one, other, squared)
    # Of each answer's grade with the other grader's grades of all answers.
    from_one, from_other = (
        _mean_disagreement(mine, theirs, squared) for mine, theirs in ((one, other), (other, one))
    )
    expected = float(from_one.mean())
    observed_influence = (observed - observed.mean()) / n
    expected_influence = (from_one + from_other - 2 * expected) / n
    chance_differs = _mean_disagreement(one, other, squared=False).mean()
    return _one_minus_ratio(
        (float(observed.mean()), observed_influence),
        (expected, expected_influence),
        clusters,
        float(chance_differs),
    )


def krippendorff_alpha(
    grades: Sequence[Grades], clusters: NDArray[np.generic], *, squared: bool = False
) -> Estimate:
    """Krippendorff's (1970, https://doi.org/10.1177/001316447003000105) alpha of graders' grades.

    `grades` are (n,) each, NaN where a grader gave none; answers with fewer than two grades do not
    count. Nominal, or with `squared` that of scores (interval). NaN where all grades are the same.
    """
    table = np.stack(grades)
    counted = (~np.isnan(table)).sum(0) >= 2
    if not counted.any():
        return undefined(())
    table, clusters = table[:, counted], clusters[counted]
    graded = ~np.isnan(table)
    n_given = graded.sum(0)
    total = int(n_given.sum())
    pooled = table[graded]
    # Sums over the other grades of the same answer, and over all other grades.
    within, among = np.zeros(table.shape[1]), np.zeros(table.shape[1])
    for own, is_graded in zip(table, graded, strict=True):
        for others, both in zip(table, graded, strict=True):
            pair = is_graded & both
            within[pair] += _disagreement(own[pair], others[pair], squared)
        among[is_graded] += _mean_disagreement(own[is_graded], pooled, squared) * total
    within = within / (n_given - 1)
    observed, expected = float(within.sum() / total), float(among.sum() / (total * (total - 1)))
    observed_influence = (within - observed * n_given) / total
    expected_influence = (2 * among - expected * n_given * (2 * total - 1)) / (total * (total - 1))
    differs = float(_mean_disagreement(pooled, pooled, squared=False).mean())
    return _one_minus_ratio(
        (observed, observed_influence), (expected, expected_influence), clusters, differs
    )


def _one_minus_ratio(
    observed: tuple[float, Floats],
    expected: tuple[float, Floats],
    clusters: NDArray[np.generic],
    chance_differs: float,
) -> Estimate:
    """1 - observed / expected, both with their influences (n,), and its interval.

    Without any disagreement the variance is 0; the upper bound of `observed` is then that of a
    share of none of the clusters, `logit_interval`'s, times the mean disagreement of two grades
    that differ by chance.
    """
    (observed_value, observed_influence), (expected_value, expected_influence) = observed, expected
    if expected_value <= 0:
        return undefined(())
    ratio = observed_value / expected_value
    n_clusters = len(np.unique(clusters))
    value = np.array(1 - ratio)
    if n_clusters < 2:
        return Estimate(value, np.array(-1.0), np.array(1.0))
    if observed_value == 0:
        bound = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n_clusters)
        return Estimate(value, np.maximum(1 - bound / chance_differs, -1), value)
    influence = observed_influence / observed_value - expected_influence / expected_value
    step = t_quantile(n_clusters - 1) * clustered_standard_error(influence, clusters)
    return Estimate(value, np.maximum(1 - ratio * np.exp(step), -1), 1 - ratio * np.exp(-step))


def _disagreement(one: Grades, other: Grades, squared: bool) -> Floats:
    return (one - other) ** 2 if squared else (one != other).astype(np.float64)


def _mean_disagreement(grades: Grades, others: Grades, squared: bool) -> Floats:
    """(n,) mean disagreement of each of `grades` with all of `others`."""
    if squared:
        centre = others.mean()  # differences from it lose no digits
        return (grades - centre) ** 2 + others.var()
    values, counts = np.unique(others, return_counts=True)
    place = np.minimum(np.searchsorted(values, grades), len(values) - 1)
    return 1 - np.where(values[place] == grades, counts[place], 0) / len(others)
