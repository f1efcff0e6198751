"""Minimises many functions side by side, so that all share each pass over the activations.

`scipy.optimize.minimize` has the same algorithm for one function at a time: a probe would read
streamed activations once for each step of each of its 26 fits (`benchmarks/fitting.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats

BatchLoss = Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats]]
"""Takes points (k, p) and the number (k,) of the function that each belongs to; returns the values
(k,) and the gradients (k, p)."""
MEMORY = 10
"""Steps from which the inverse Hessian is approximated."""
MAX_HALVINGS, SUFFICIENT_DECREASE = 30, 1e-4
"""Of the line search."""


def minimise_batch(
    loss: BatchLoss,
    starts: Floats,
    gradient_tolerance: float = 1e-9,
    relative_tolerance: float = 0.0,
    max_steps: int = 2000,
) -> tuple[Floats, Floats]:
    """Minimisers (k, p) and minima (k,) of functions, from `starts` (k, p).

    L-BFGS (Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116) with a backtracking line
    search (Armijo 1966). A function is done when its gradient's largest component is at most
    `gradient_tolerance`, when a step decreases it by no more than `relative_tolerance` of its value
    (by default: when rounding leaves no decrease), or after `max_steps`.
    """
    minimisers, numbers = starts.copy(), np.arange(len(starts))
    minima, gradients = loss(minimisers, numbers)
    active = numbers[np.abs(gradients).max(1) > gradient_tolerance]
    points, values, gradients = minimisers[active], minima[active], gradients[active]
    history: list[tuple[Floats, Floats, Floats]] = []
    for _ in range(max_steps):
        if not len(active):
            break
        step = _descent_direction(gradients, history)
        if not history:
            step /= np.maximum(1, np.abs(gradients).sum(1, keepdims=True))
        slope = (step * gradients).sum(1)
        old_points, old_gradients, old_values = points.copy(), gradients.copy(), values.copy()
        searching, size = np.arange(len(active)), 1.0
        for _ in range(MAX_HALVINGS):
            tried = old_points[searching] + size * step[searching]
            value, gradient = loss(tried, active[searching])
            limit = old_values[searching] + SUFFICIENT_DECREASE * size * slope[searching]
            accepted = value <= limit
            done = searching[accepted]
            points[done], gradients[done], values[done] = (
                tried[accepted],
                gradient[accepted],
                value[accepted],
            )
            searching, size = searching[~accepted], size / 2
            if not len(searching):
                break
        minimisers[active], minima[active] = points, values
        point_change, gradient_change = points - old_points, gradients - old_gradients
        curvature = (point_change * gradient_change).sum(1)
        usable = curvature > 1e-12 * (gradient_change**2).sum(1)
        curvature = np.where(usable, curvature, np.inf)
        history = [*history[1 - MEMORY :], (point_change, gradient_change, curvature)]
        threshold = relative_tolerance * np.maximum(np.abs(old_values), np.abs(values))
        goes_on = (old_values - values > threshold) & (
            np.abs(gradients).max(1) > gradient_tolerance
        )
        if not goes_on.all():  # most steps are taken for the few that converge last
            active, points, values = active[goes_on], points[goes_on], values[goes_on]
            gradients = gradients[goes_on]
            history = [(one[goes_on], two[goes_on], three[goes_on]) for one, two, three in history]
    return minimisers, minima


def _descent_direction(gradients: Floats, history: list[tuple[Floats, Floats, Floats]]) -> Floats:
    """(k, p) the two-loop recursion; a step of infinite curvature is skipped."""
    direction, coefficients = gradients.copy(), []
    for point_change, gradient_change, curvature in reversed(history):
        coefficient = (point_change * direction).sum(1) / curvature
        direction -= coefficient[:, None] * gradient_change
        coefficients.append(coefficient)
    if history:
        _, gradient_change, curvature = history[-1]
        scale = curvature / np.maximum((gradient_change**2).sum(1), np.finfo(float).tiny)
        direction *= np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)[:, None]
    pairs = zip(history, reversed(coefficients), strict=True)
    for (point_change, gradient_change, curvature), coefficient in pairs:
        change = coefficient - (gradient_change * direction).sum(1) / curvature
        direction += change[:, None] * point_change
    return -direction
