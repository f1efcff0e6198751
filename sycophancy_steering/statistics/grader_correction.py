"""AUROCs against a fallible grader's labels, corrected for the grader's error rates."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics.estimates import Estimate, t_quantile


def without_grader_error(estimate: Estimate, error: GraderError) -> Estimate:
    """The AUROC against correct labels that an AUROC against the grader's labels implies.

    If the read-out is independent of the grader's errors given the truth, each class is a mixture,
    and AUROC - 0.5 shrinks by 1 - a - b, with a and b the shares of wrong labels among positive
    and negative ones (Menon et al. 2015, http://proceedings.mlr.press/v37/menon15.html). The
    interval combines both uncertainties, each on its own side (Zou and Donner 2008,
    https://doi.org/10.1002/sim.3095); it is 0 to 1 where the labels may be no better than chance.
    """
    attenuation, variance = _attenuation(error), 0.0
    for wrong, n in (
        (error.positive_wrong, error.positive),
        (error.negative_wrong, error.negative),
    ):
        share = (wrong + 0.5) / (n + 1)  # Jeffreys: none wrong of ten is not certainty
        variance += share * (1 - share) / (n + 1)
    n_checked = error.positive + error.negative
    half_width = t_quantile(n_checked) if n_checked else np.inf
    if attenuation <= half_width * np.sqrt(variance):
        known = ~np.isnan(estimate.value)
        low, half, high = (np.where(known, bound, np.nan) for bound in (0.0, 0.5, 1.0))
        return Estimate(half, low, high)
    excess = estimate.value - 0.5
    rate_error = half_width * np.sqrt(variance) * np.abs(excess) / attenuation**2
    # The second factor removes the bias of 1 / attenuation.
    value = 0.5 + excess / attenuation * (1 - variance / attenuation**2)
    below = np.hypot((estimate.value - estimate.low) / attenuation, rate_error)
    above = np.hypot((estimate.high - estimate.value) / attenuation, rate_error)
    return Estimate(
        np.clip(value, 0, 1), np.clip(value - below, 0, 1), np.clip(value + above, 0, 1)
    )


def null_without_grader_error(aurocs: Floats, error: GraderError) -> Floats:
    """AUROCs under the null on the scale of `without_grader_error`, to stand beside it."""
    attenuation = _attenuation(error)
    if attenuation <= 0:
        return np.where(np.asarray(aurocs) < 0.5, 0.0, 1.0)
    return np.clip(0.5 + (np.asarray(aurocs) - 0.5) / attenuation, 0, 1)


def _attenuation(error: GraderError) -> float:
    """The share of AUROC - 0.5 that the grader's errors leave."""
    rates = (error.positive_wrong, error.positive), (error.negative_wrong, error.negative)
    return 1.0 - sum(wrong / n if n else 0.5 for wrong, n in rates)
