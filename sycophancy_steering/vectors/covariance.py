"""Shrunk covariance of streamed activations."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.vectors.contrast import AnswerGroup


def ledoit_wolf_covariance(group: AnswerGroup) -> Floats:
    """(d_model, d_model) covariance, shrunk on standardised activations.

    The target is a multiple of the identity (Ledoit and Wolf 2004,
    https://doi.org/10.1016/S0047-259X(03)00096-4), as in scikit-learn's discriminant analysis with
    `shrinkage="auto"`; the result is in the activations' own coordinates.
    """
    count, mean = len(group), group.activations.mean
    sd = np.sqrt(group.activations.variance)
    sd[sd == 0] = 1.0
    covariance = group.activations.scatter / count / np.outer(sd, sd)
    width = len(mean)
    fourth_moment = group.activations.fourth_moment_of_lengths(sd)
    level = np.trace(covariance) / width
    squares = float((covariance**2).sum())
    noise = (fourth_moment - squares) / count / width
    distance = (squares - width * level**2) / width
    noise = min(noise, distance)
    shrinkage = 0.0 if noise == 0 else noise / distance
    shrunk = (1 - shrinkage) * covariance
    shrunk[np.diag_indices(width)] += shrinkage * level
    return shrunk * np.outer(sd, sd)
