"""The first principal component of rows that span several layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats

MAX_GRAM_ROWS = 2048
"""Rows up to which their products with one another fit in memory."""


def first_component_weights(layers: Sequence[ArrayStream]) -> Floats:
    """(n,) weights of the rows whose sum is the first principal component, of length one.

    `layers` are (n, d_model) each, taken side by side: rows of width n_layers * d_model. The
    component points the way of the rows' mean.
    """
    count = len(layers[0])
    if count <= MAX_GRAM_ROWS:
        gram = sum(rows @ rows.T for rows in (layer.to_array() for layer in layers))
        centring = np.eye(count) - 1 / count
        eigenvalues, eigenvectors = np.linalg.eigh(centring @ gram @ centring)
        eigenvalue, weights = float(eigenvalues[-1]), centring @ eigenvectors[:, -1]
    else:
        eigenvalue, weights = _by_lanczos(layers)
    weights = weights / np.sqrt(max(eigenvalue, np.finfo(float).tiny))
    towards_mean = sum(
        float(layer.weighted_sums(weights[None])[0] @ layer.mean) for layer in layers
    )
    return weights if towards_mean >= 0 else -weights


def _by_lanczos(layers: Sequence[ArrayStream]) -> tuple[float, Floats]:
    """Largest eigenvalue of the centred Gram matrix and its eigenvector (n,), a pass a step."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    count = len(layers[0])

    def times_gram(vector: Floats) -> Floats:
        centred = vector.ravel() - vector.mean()
        product = np.zeros(count)
        for layer in layers:
            product += layer.dot(layer.weighted_sums(centred[None])[0])
        return product - product.mean()

    operator = LinearOperator(shape=(count, count), matvec=times_gram, dtype=np.float64)  # type: ignore
    start = np.random.default_rng(0).standard_normal(count)
    eigenvalues, eigenvectors = eigsh(operator, k=1, v0=start, tol=1e-8)  # type: ignore
    return float(eigenvalues[0]), eigenvectors[:, 0] - eigenvectors[:, 0].mean()
