"""Exact intervals of a share of independent trials."""

from __future__ import annotations

from scipy.special import betaincinv

from sycophancy_steering.statistics.estimates import CONFIDENCE


def binomial_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of Clopper and Pearson (1934, https://doi.org/10.1093/biomet/26.4.404)."""
    tail, failures = (1 - CONFIDENCE) / 2, trials - successes
    low = betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return float(low), float(high)
