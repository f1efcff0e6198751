"""Contrast-consistent search (Burns et al. 2022, https://arxiv.org/abs/2212.03827)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.vectors.contrast import Contrast
from sycophancy_steering.vectors.lbfgs import minimise_batch
from sycophancy_steering.vectors.row_space import row_space

N_STARTS = 20
PENALTY = 0.01
"""L2, as large as the weight decay of the authors' code. Without it every probe that separates the
answers has a loss of nearly 0, and rounding chooses between them."""
COMPARISON_TOLERANCE = 1e-5
"""Of the gradient, to which all probes are fitted; only the best is fitted further. The directions
in SmolLM2 are the same to seven digits, in half the time."""
SMOOTHING = 0.02
"""Rounds the corner of min(p, q) at p = q: (p + q - sqrt((p - q)**2 + SMOOTHING**2)) / 2. At the
corner quasi-Newton steps get stuck wherever rounding takes them."""


@dataclass(frozen=True)
class OptionPairs:
    """Activations of each question's two answers, in an order that labels do not determine."""

    sycophantic: ArrayStream
    """(n, d_model)"""
    other: ArrayStream
    """(n, d_model)"""
    swapped: NDArray[np.bool_]
    """(n,) whether the sycophantic answer is the second option."""

    def blocks(self) -> Iterator[tuple[NDArray[np.bool_], Floats, Floats]]:
        """Of a block of questions: `swapped` (rows,), and the activations (rows, d_model) of
        sycophantic and of other answers."""
        blocks = zip(self.sycophantic.indexed_blocks(), self.other.blocks(), strict=True)
        for (at, one), two in blocks:
            yield self.swapped[at], one, two

    def option(self, number: int) -> ArrayStream:
        """(n, d_model) first (0) or second (1) options."""

        def blocks() -> Iterator[Floats]:
            for swapped, one, two in self.blocks():
                yield _exchanged(swapped[:, None], one, two)[number]

        return ArrayStream(len(self.swapped), blocks)


def consistent_direction(contrast: Contrast) -> Floats:
    """(d_model,) direction of the best of `N_STARTS` probes; its sign is arbitrary.

    Each option is centred on its own, so that the option's number carries no information, and
    scaled per coordinate. The gradient is analytic: importing torch for autograd would take
    longer than all fits of a model, and all starts share each pass over the activations.
    """
    letters = contrast.sycophantic.letters
    random_order = contrast.rng.random(len(letters)) < 0.5  # of questions without letters
    swapped = np.where(letters == "", random_order, letters > contrast.other.letters)
    one, two = (group.activations for group in contrast.groups)
    pairs = OptionPairs(one, two, swapped)
    options = pairs.option(0), pairs.option(1)
    sd = np.sqrt((options[0].variance + options[1].variance) / 2)
    sd[sd == 0] = 1.0
    means = options[0].mean, options[1].mean
    starts = contrast.rng.normal(size=(N_STARTS, len(sd) + 1)) / np.sqrt(len(sd))
    if 2 * len(swapped) >= len(sd):
        return _best_probe(pairs, means, sd, starts) / sd
    # As for a probe (`fit_probe`): outside the space of few answers, a probe has only a penalty.
    rows = [(option.to_array() - mean) / sd for option, mean in zip(options, means, strict=True)]
    basis = row_space(np.concatenate(rows))
    first, second = (ArrayStream.from_array(own @ basis) for own in rows)
    zeros, ones = np.zeros(basis.shape[1]), np.ones(basis.shape[1])
    inside = np.column_stack([starts[:, :-1] @ basis, starts[:, -1]])
    in_order = OptionPairs(first, second, np.zeros_like(swapped))
    return basis @ _best_probe(in_order, (zeros, zeros), ones, inside) / sd


def _best_probe(
    pairs: OptionPairs, means: tuple[Floats, Floats], sd: Floats, starts: Floats
) -> Floats:
    """The standardised weights (d_model,) with the least loss that `starts` lead to."""

    def loss(weights: Floats, _numbers: object) -> tuple[Floats, Floats]:
        return consistency_loss(pairs, means, sd, weights)

    weights, losses = minimise_batch(loss, starts, gradient_tolerance=COMPARISON_TOLERANCE)
    best, _ = minimise_batch(loss, weights[[losses.argmin()]])
    return best[0, :-1]


def consistency_loss(
    pairs: OptionPairs, means: tuple[Floats, Floats], sd: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Consistency and confidence loss (k,) plus the penalty, and gradients (k, d_model + 1)."""
    from scipy.special import expit

    coefficients = weights[:, :-1] / sd
    intercepts = [(weights[:, -1] - coefficients @ mean)[:, None] for mean in means]
    values, by_coefficient = np.zeros(len(weights)), np.zeros(coefficients.shape)
    by_intercept = np.zeros((2, len(weights)))
    for swapped, one, two in pairs.blocks():
        # Numbers are exchanged, not activations: there are fewer.
        first, second = _exchanged(swapped, coefficients @ one.T, coefficients @ two.T)
        p, q = expit(first + intercepts[0]), expit(second + intercepts[1])
        excess = p + q - 1
        distance = np.sqrt((p - q) ** 2 + SMOOTHING**2)
        lower = (p + q - distance) / 2
        by_p = (2 * excess + lower * (1 - (p - q) / distance)) * p * (1 - p)
        by_q = (2 * excess + lower * (1 + (p - q) / distance)) * q * (1 - q)
        values += (excess**2 + lower**2).sum(1)
        by_one, by_two = _exchanged(swapped, by_p, by_q)
        by_coefficient += by_one @ one + by_two @ two
        by_intercept += by_p.sum(1), by_q.sum(1)
    for totals, mean in zip(by_intercept, means, strict=True):
        by_coefficient -= totals[:, None] * mean
    gradients = np.concatenate([by_coefficient / sd, by_intercept.sum(0)[:, None]], axis=1)
    count = len(pairs.swapped)
    values, gradients = values / count, gradients / count
    gradients[:, :-1] += PENALTY * weights[:, :-1]
    return values + PENALTY / 2 * (weights[:, :-1] ** 2).sum(1), gradients


def _exchanged(swapped: NDArray[np.bool_], one: Floats, two: Floats) -> tuple[Floats, Floats]:
    """`one` and `two`, of the same shape, exchanged where `swapped`, which broadcasts to it."""
    return np.where(swapped, two, one), np.where(swapped, one, two)
