"""Many functions minimised at once, as they look at the same states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats

BatchLoss = Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats]]
"""Points (k, p), and which of the functions each belongs to (k,); gives values and slopes."""
MEMORY, HALVINGS, ENOUGH = 10, 30, 1e-4


def minimise_batch(
    loss: BatchLoss,
    starts: Floats,
    gradient_tolerance: float = 1e-5,
    relative_tolerance: float = 1e-9,
    max_steps: int = 1000,
) -> tuple[Floats, Floats]:
    """Where each function is least, (k, p), and what it is there, (k,), from `starts` (k, p).

    L-BFGS (Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116) with steps halved until they
    pay (Armijo 1966), of all functions side by side. One is done when no slope of it is steeper
    than `slope_left`, or a step gains no more than `gain_left` of its value, or after `most` steps.
    """
    points, every = starts.copy(), np.arange(len(starts))
    values, slopes = loss(points, every)
    going = every[np.abs(slopes).max(1) > gradient_tolerance]
    history: list[tuple[Floats, Floats, Floats]] = []
    for _ in range(max_steps):
        if not len(going):
            break
        step = _direction(slopes, history)
        downhill = (step * slopes).sum(1)
        if not history:
            step /= np.maximum(1, np.abs(slopes).sum(1, keepdims=True))
            downhill = (step * slopes).sum(1)
        before, at, size = (points.copy(), slopes.copy(), values.copy()), going, 1.0
        for _ in range(HALVINGS):
            tried = before[0][at] + size * step[at]
            found, slope = loss(tried, at)
            pays = found <= before[2][at] + ENOUGH * size * downhill[at]
            won = at[pays]
            points[won], slopes[won], values[won] = tried[pays], slope[pays], found[pays]
            at, size = at[~pays], size / 2
            if not len(at):
                break
        moved, turned = points - before[0], slopes - before[1]
        curved = (moved * turned).sum(1)
        known = curved > 1e-12 * (turned**2).sum(1)
        history = [*history[1 - MEMORY :], (moved, turned, np.where(known, curved, np.inf))]
        gained = before[2] - values > relative_tolerance * np.maximum(
            np.abs(before[2]), np.abs(values)
        )
        going = every[np.isin(every, going) & gained & (np.abs(slopes).max(1) > gradient_tolerance)]
    return points, values


def _direction(slopes: Floats, history: list[tuple[Floats, Floats, Floats]]) -> Floats:
    """(k, p): where each function falls, by what its slopes did before. A step of which nothing was
    learned has an infinite curvature, and counts for nothing."""
    found, shares = slopes.copy(), []
    for moved, turned, curved in reversed(history):
        share = (moved * found).sum(1) / curved
        found -= share[:, None] * turned
        shares.append(share)
    if history:
        _, turned, curved = history[-1]
        scale = curved / np.maximum((turned**2).sum(1), np.finfo(float).tiny)
        found *= np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)[:, None]
    for (moved, turned, curved), share in zip(history, reversed(shares), strict=True):
        found += (share - (turned * found).sum(1) / curved)[:, None] * moved
    return -found
