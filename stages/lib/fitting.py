"""What methods fit to states that are read a block at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.contrast import Contrast, Group
from lib.statistics import Floats
from lib.stream import Stream

MOST_PRODUCTS = 2048
"""Rows whose products with one another are held in memory."""


def loss_of(contrast: Contrast, counts: Floats, weights: Floats) -> tuple[float, Floats]:
    """Mean logistic loss of telling sycophantic states, and its slope (d_model + 1,).

    `weights` (d_model + 1,), the last one the intercept, are those of standardised states; `counts`
    (n,) says how often each state counts.
    """
    from scipy.special import expit

    read = weights[:-1] / contrast.spread
    offset = weights[-1] - contrast.mean @ read
    value, pulled, along = 0.0, 0.0, np.zeros(len(read))
    for at, block, label in contrast.pooled():
        side = 1.0 if label else -1.0
        odds = side * (block @ read + offset)
        value += float(counts[at] @ np.logaddexp(0, -odds))
        pull = -side * expit(-odds) * counts[at]
        pulled += pull.sum()
        along += pull @ block
    slope = np.append((along - pulled * contrast.mean) / contrast.spread, pulled)
    return value / counts.sum(), slope / counts.sum()


def fitted(contrast: Contrast, counts: Floats, strength: float, start: Floats) -> Floats:
    """Weights (d_model + 1,) of a logistic regression, the last one its intercept, with L2 of the
    inverse `strength`: scikit-learn's `C`."""
    from scipy.optimize import minimize

    penalty = 1 / (strength * counts.sum())

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = loss_of(contrast, counts, weights)
        slope[:-1] += penalty * weights[:-1]
        return value + penalty / 2 * float(weights[:-1] @ weights[:-1]), slope

    settings = {"gtol": 1e-5, "ftol": 64 * np.finfo(float).eps, "maxiter": 1000}
    return minimize(loss, start, jac=True, method="L-BFGS-B", options=settings).x


def shrunk_covariance(group: Group) -> Floats:
    """(d_model, d_model): the covariance of a group's standardised states, shrunk towards a
    multiple of one (Ledoit and Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4), in the
    states' own coordinates."""
    count, mean = len(group), group.states.mean
    spread = np.sqrt(group.states.variance)
    spread[spread == 0] = 1.0
    covariance = group.states.scatter / count / np.outer(spread, spread)
    width = len(mean)
    lengths = group.states.mapped(
        lambda block: (((block - mean) / spread) ** 2).sum(1, keepdims=True)
    )
    fourth = sum(float((block**2).sum()) for block in lengths.blocks()) / count
    level = np.trace(covariance) / width
    squares = float((covariance**2).sum())
    noise = (fourth - squares) / count / width
    apart = (squares - width * level**2) / width
    noise = min(noise, apart)
    share = 0.0 if noise == 0 else noise / apart
    shrunk = (1 - share) * covariance
    shrunk[np.diag_indices(width)] += share * level
    return shrunk * np.outer(spread, spread)


def first_component(layers: Sequence[Stream]) -> Floats:
    """(n,) weights of rows in the first principal component (of length one) of `layers`, each
    (n, d_model), side by side; its sign is that of their mean."""
    count = len(layers[0])
    if count <= MOST_PRODUCTS:
        products = sum(rows @ rows.T for rows in (layer.all() for layer in layers))
        centring = np.eye(count) - 1 / count
        sizes, directions = np.linalg.eigh(centring @ products @ centring)
        size, along = float(sizes[-1]), centring @ directions[:, -1]
    else:
        size, along = _by_passes(layers)
    along = along / np.sqrt(max(size, np.finfo(float).tiny))
    towards = sum(float(layer.weighted(along[None])[0] @ layer.mean) for layer in layers)
    return along if towards >= 0 else -along


def _by_passes(layers: Sequence[Stream]) -> tuple[float, Floats]:
    """The largest eigenvalue of the rows' centred products, and its vector (n,), by Lanczos: a pass
    over all layers a step."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    count = len(layers[0])

    def times(vector: Floats) -> Floats:
        centred = vector.ravel() - vector.mean()
        found = np.zeros(count)
        for layer in layers:
            found += layer.along(layer.weighted(centred[None])[0])
        return found - found.mean()

    operator = LinearOperator(shape=(count, count), matvec=times, dtype=np.float64)  # type: ignore
    start = np.random.default_rng(0).standard_normal(count)
    sizes, vectors = eigsh(operator, k=1, v0=start, tol=1e-8)  # type: ignore
    return float(sizes[0]), vectors[:, 0] - vectors[:, 0].mean()
