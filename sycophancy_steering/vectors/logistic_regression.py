"""Logistic regressions on streamed activations, all folds and penalties in the same passes.

scikit-learn fits one model after the other on activations in memory, to the same weights. That
takes at least twice as long, and with 10,000 pairs of width 4,096 1.2 GB instead of 0.1 GB
(`benchmarks/fitting.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.vectors.contrast import Contrast
from sycophancy_steering.vectors.lbfgs import minimise_batch
from sycophancy_steering.vectors.row_space import row_space

SampleWeights = NDArray[np.float64] | NDArray[np.bool_]
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""scikit-learn's `C`, from the strongest L2 penalty to the weakest."""
N_FOLDS = 5
CROSS_VALIDATION_TOLERANCE = 1e-6
"""Of the gradient of the fits that choose the penalty. In SmolLM2 they choose the same ones as fits
to 1e-9, in half the time."""
TIE = 1e-9
"""Relative difference below which two cross-validated losses count as equal."""


@dataclass(frozen=True)
class StandardisedAnswers:
    """Answers whose activations are read less `mean`, and divided by `sd`; weights are changed
    instead of activations, as there are fewer."""

    contrast: Contrast
    mean: Floats
    """(d_model,)"""
    sd: Floats
    """(d_model,)"""


def standardised(contrast: Contrast) -> StandardisedAnswers:
    """Each coordinate with mean 0 and standard deviation 1 over all answers."""
    return StandardisedAnswers(contrast, contrast.mean, contrast.standard_deviation)


def fit_probe(contrast: Contrast) -> Floats:
    """Weights (d_model + 1,) of a logistic regression on standardised activations.

    The L2 penalty is chosen by cross-validation over items; ties go to the stronger penalty. The
    last weight is the intercept.
    """
    answers, width = standardised(contrast), len(contrast.mean)
    if len(contrast) >= width:
        return cross_validated_fit(answers)
    # With fewer answers than coordinates, a penalised fit is a sum of answers: their own space is
    # enough, and smaller. SmolLM2's 270 probes of the default study take 11 s there, not 17.
    answers, basis = _in_own_space(answers)
    weights = cross_validated_fit(answers)
    return np.append(basis @ weights[:-1], weights[-1])


def _in_own_space(answers: StandardisedAnswers) -> tuple[StandardisedAnswers, Floats]:
    """The same answers in coordinates of the space that they span, and its basis (d_model, n)."""
    contrast, mean, sd = answers.contrast, answers.mean, answers.sd
    rows = [(group.activations.to_array() - mean) / sd for group in contrast.groups]
    basis = row_space(np.concatenate(rows))
    one, two = (
        replace(group, activations=ArrayStream.from_array(own @ basis))
        for group, own in zip(contrast.groups, rows, strict=True)
    )
    n = basis.shape[1]
    inside = replace(contrast, sycophantic=one, other=two)
    return StandardisedAnswers(inside, np.zeros(n), np.ones(n)), basis


def cross_validated_fit(answers: StandardisedAnswers) -> Floats:
    """As `fit_probe`, of answers in any coordinates."""
    items = np.concatenate([group.items for group in answers.contrast.groups])
    held_out = group_folds(items, N_FOLDS)
    tested = np.repeat(held_out, len(INVERSE_PENALTIES), axis=0)  # each fold with each penalty
    inverse_penalties = np.tile(INVERSE_PENALTIES, len(held_out))
    weights = logistic_regressions(answers, ~tested, inverse_penalties, CROSS_VALIDATION_TOLERANCE)
    losses = logistic_losses(answers, weights, tested)[0].reshape(-1, len(INVERSE_PENALTIES))
    mean_losses = losses.mean(0)
    best = int(np.flatnonzero(mean_losses <= mean_losses.min() * (1 + TIE))[0])
    everything = np.ones((1, len(items)), dtype=bool)
    return logistic_regressions(answers, everything, np.array([INVERSE_PENALTIES[best]]))[0]


def group_folds(items: Names, max_folds: int) -> NDArray[np.bool_]:
    """(n_folds, n): the rows that each fold holds out, all rows of an item in the same fold."""
    from sklearn.model_selection import GroupKFold

    splitter = GroupKFold(min(max_folds, len(np.unique(items))))
    held_out = np.zeros((splitter.n_splits, len(items)), dtype=bool)
    for fold, (_, rows) in zip(held_out, splitter.split(items, groups=items), strict=True):
        fold[rows] = True
    return held_out


def logistic_losses(
    answers: StandardisedAnswers, weights: Floats, sample_weights: SampleWeights
) -> tuple[Floats, Floats]:
    """Mean logistic losses (k,) and their gradients (k, d_model + 1).

    `weights` (k, d_model + 1), the intercept last, are of standardised activations;
    `sample_weights` is (k, n), rows in the order of `Contrast.labelled_blocks`.
    """
    from scipy.special import expit

    coefficients = weights[:, :-1] / answers.sd
    intercepts = weights[:, -1] - coefficients @ answers.mean
    values, by_intercept = np.zeros(len(weights)), np.zeros(len(weights))
    by_coefficient = np.zeros(coefficients.shape)
    for at, block, label in answers.contrast.labelled_blocks():
        sign = 1.0 if label else -1.0
        log_odds = sign * (coefficients @ block.T + intercepts[:, None])
        values += (sample_weights[:, at] * np.logaddexp(0, -log_odds)).sum(1)
        residuals = -sign * expit(-log_odds) * sample_weights[:, at]
        by_intercept += residuals.sum(1)
        by_coefficient += residuals @ block
    by_coefficient -= by_intercept[:, None] * answers.mean
    by_coefficient /= answers.sd
    gradients = np.concatenate([by_coefficient, by_intercept[:, None]], axis=1)
    total = sample_weights.sum(1)
    return values / total, gradients / total[:, None]


def logistic_regressions(
    answers: StandardisedAnswers,
    sample_weights: SampleWeights,
    inverse_penalties: Floats,
    gradient_tolerance: float = 1e-9,
) -> Floats:
    """Weights (k, d_model + 1) of k regressions on standardised activations, intercept last.

    `sample_weights` (k, n) is 0 for rows that are left out; `inverse_penalties` (k,) is
    scikit-learn's `C`; `gradient_tolerance` is `minimise_batch`'s.
    """
    penalties = 1 / (inverse_penalties * sample_weights.sum(1))

    def loss(weights: Floats, numbers: NDArray[np.intp]) -> tuple[Floats, Floats]:
        values, gradients = logistic_losses(answers, weights, sample_weights[numbers])
        penalty = penalties[numbers]
        gradients[:, :-1] += penalty[:, None] * weights[:, :-1]
        return values + penalty / 2 * (weights[:, :-1] ** 2).sum(1), gradients

    starts = np.zeros((len(sample_weights), len(answers.mean) + 1))
    return minimise_batch(loss, starts, gradient_tolerance)[0]
