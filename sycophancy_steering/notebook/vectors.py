"""Vectors from activations in memory, their AUROCs, and how far they agree."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.config.variants import Position
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.notebook.studied_model import Activations
from sycophancy_steering.statistics.auroc import auroc, clustered_auroc
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.vectors.contrast import AnswerGroup, Contrast, MethodNotApplicable
from sycophancy_steering.vectors.methods import METHODS, PAIRS_ONLY, steering_vector

Vectors = NDArray[np.float32]
"""(layers, d_model)"""
N_RANDOM = 200
"""Random directions, as a null."""


def make_vectors(
    activations: Activations, method: str = "mean_difference", position: Position = "answer"
) -> Vectors:
    """(layers, d_model): one vector a layer, positive towards sycophancy.

    `position` is `answer` for contrast pairs (both answers forced after each question), or where
    the model's own answers, labelled by likelihood, are read. Raises InputError for an unknown
    method, or answers that it cannot be applied to.
    """
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}; expected one of {', '.join(METHODS)}")
    if method in PAIRS_ONLY and position != "answer":
        raise InputError(f"{method} needs contrast pairs; expected position 'answer'")
    layers = range(len(activations.by_position["prompt"]))
    try:
        vectors = [steering_vector(method, _contrast(activations, position, n)) for n in layers]
    except MethodNotApplicable as reason:
        raise InputError(f"{method} at {position}: {reason}") from None
    return np.stack(vectors).astype(np.float32)


def evaluate(
    vectors: Vectors,
    activations: Activations,
    positions: tuple[str, ...] = ("prompt", "continuation"),
    seed: int = 0,
) -> pl.DataFrame:
    """How well projections on `vectors` (layers, d_model) predict the labels of `activations`.

    One row a layer and position: the AUROC, its 95% interval clustered by item, and the central 95%
    of `N_RANDOM` random directions. (The logit margin defines the labels, so its AUROC is 1.)
    Raises InputError for vectors of another shape, or answers of one class.
    """
    labels, items = activations.labels, activations.items
    if len(set(labels.tolist())) < 2:
        raise InputError(
            f"all {len(labels)} answers are of one class; expected sycophantic and other answers"
        )
    shape = activations.by_position["prompt"].shape
    if vectors.shape != (shape[0], shape[2]):
        raise InputError(f"vectors of shape {vectors.shape}; expected {(shape[0], shape[2])}")
    rng = np.random.default_rng(seed)
    rows = []
    for position in positions:
        for layer, vector in enumerate(vectors.astype(np.float64)):
            values = activations.by_position[position][layer].astype(np.float64)
            directions = rng.standard_normal((N_RANDOM, len(vector)))
            estimate = clustered_auroc((values @ vector)[None], labels, items)
            low, high = central_interval(auroc(directions @ values.T, labels))
            rows.append(
                {
                    "position": position,
                    "layer": layer,
                    "n": len(labels),
                    "auroc": float(estimate.value[0]),
                    "auroc_low": float(estimate.low[0]),
                    "auroc_high": float(estimate.high[0]),
                    "random_low": float(low),
                    "random_high": float(high),
                }
            )
    return pl.DataFrame(rows)


def compare(one: Vectors, two: Vectors) -> pl.DataFrame:
    """The cosine of two vectors (layers, d_model), layer by layer."""
    cosines = cosine(one.astype(np.float64), two.astype(np.float64))
    return pl.DataFrame({"layer": np.arange(len(cosines)), "cosine": cosines})


def _contrast(activations: Activations, position: Position, layer: int) -> Contrast:
    """The two groups of activations that a vector of `layer` is made from."""
    rng = np.random.default_rng([0, layer])
    rows = activations.questions.rows
    if position == "answer":
        letters = (
            [row.matching for row in rows],
            [row.not_matching[0] for row in rows],
        )
        groups = [
            _group(activations, name, layer, np.arange(len(rows)), np.array(letter))
            for name, letter in zip(("matching", "not_matching"), letters, strict=True)
        ]
        return Contrast(*groups, paired=True, rng=rng)
    classes = [np.flatnonzero(activations.labels == label) for label in (1, 0)]
    if min(map(len, classes)) < 2:
        counts = " and ".join(str(len(group)) for group in classes)
        raise MethodNotApplicable(
            f"{counts} sycophantic and other answers; expected at least 2 of each"
        )
    blank = np.full(len(rows), "")
    groups = [_group(activations, position, layer, group, blank[group]) for group in classes]
    return Contrast(*groups, paired=False, rng=rng)


def _group(
    activations: Activations, position: str, layer: int, rows: NDArray[np.intp], letters: NDArray
) -> AnswerGroup:
    values = activations.by_position[position][layer][rows].astype(np.float64)
    return AnswerGroup(ArrayStream.from_array(values), activations.items[rows], letters)
