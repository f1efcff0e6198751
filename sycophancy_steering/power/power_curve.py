"""How often directions of several sizes are found, and the smallest size that is found reliably."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sycophancy_steering.power.detection import Detections, PlantedStudies
from sycophancy_steering.power.planted_study import Draws, StudyQuestions
from sycophancy_steering.statistics.binomial import binomial_interval

POWER = 0.8
"""Share of studies that a direction has to be found in."""
CURVE_SEED, CHECK_SEED = 0, 1
"""Of the studies that a size is chosen by, and of others that it is then checked in."""


@dataclass(frozen=True)
class PowerPoint:
    """What the studies of one size find on the questions of one family."""

    part: str
    """`curve`; `smallest` for the smallest size found, checked in new studies; `twice` that."""
    size: float
    n_found: int
    aurocs: np.ndarray
    """(k,)"""
    cosines: np.ndarray
    """(k,)"""


def power_curves(
    questions: StudyQuestions, layer: int, sizes: Sequence[float], n_draws: int
) -> list[list[PowerPoint]]:
    """For each family of `questions.test`, the points of its curve; then, where a size is found
    reliably, the smallest and twice it in new studies. `sizes` ascend from 0."""
    studies, checks = (
        PlantedStudies(questions, layer, Draws.at_random(questions, n_draws, seed))
        for seed in (CURVE_SEED, CHECK_SEED)
    )
    detections = [studies.detections(size) for size in sizes]
    curves = []
    for family in range(len(questions.test)):
        curve = [
            power_point("curve", size, detected, family)
            for size, detected in zip(sizes, detections, strict=True)
        ]
        smallest = smallest_size(sizes, [point.n_found for point in curve], n_draws)
        if smallest is not None:
            curve += [
                power_point(part, size, checks.detections(size), family)
                for part, size in (("smallest", smallest), ("twice", 2 * smallest))
            ]
        curves.append(curve)
    return curves


def power_point(part: str, size: float, detected: Detections, family: int) -> PowerPoint:
    """The numbers of one family."""
    readout = detected.readouts[family]
    n_found = int(readout.is_predicted.sum())
    return PowerPoint(part, size, n_found, readout.aurocs, detected.cosines)


def smallest_size(sizes: Sequence[float], n_found: Sequence[int], n_draws: int) -> float | None:
    """The smallest size of which the share found is at least `POWER` with confidence; or None.

    That is, the lower bound of its 95% interval is: between two sizes, by a line through both
    bounds over the logarithm of the size. Larger sizes may be found less often, as random
    directions come to predict as well.
    """
    low = [binomial_interval(count, n_draws)[0] for count in n_found]
    first = next((n for n, bound in enumerate(low) if bound >= POWER), None)
    if first is None:
        return None
    if first == 0 or sizes[first - 1] == 0:
        return sizes[first]
    below = first - 1
    share = (POWER - low[below]) / (low[first] - low[below])
    return float(sizes[below] * (sizes[first] / sizes[below]) ** share)
