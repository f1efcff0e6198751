"""Whether the study finds what is planted in it: by its own rules, in many random studies at once.

A vector is the mean difference of planted and other questions, at every layer. The layer with the
highest AUROC on `select` is selected, and the projection at that layer is tested on `test`: it
predicts if the interval of its AUROC, clustered by item, lies above 0.5, and the AUROC above the
central 95% of those of random directions (`report.predictivity.verdict`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.analysis.readouts import N_RANDOM_DIRECTIONS
from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.power.planted_questions import Questions
from sycophancy_steering.power.planted_study import (
    Draws,
    StudyQuestions,
    mean_differences,
    planted_scores,
)
from sycophancy_steering.statistics.auroc import auroc, clustered_auroc
from sycophancy_steering.statistics.estimates import Estimate, central_interval

CHANCE = 0.5
SEED = 0
"""Of the random directions, which are those of the study."""


@dataclass(frozen=True)
class Readout:
    """What k studies read on the `test` questions of a family."""

    aurocs: Floats
    """(k,)"""
    is_predicted: NDArray[np.bool_]
    """(k,)"""

    def where(self, chosen: NDArray[np.bool_], other: Readout) -> Readout:
        """These where `chosen` (k,), elsewhere the `other` ones."""
        return Readout(
            np.where(chosen, self.aurocs, other.aurocs),
            np.where(chosen, self.is_predicted, other.is_predicted),
        )


@dataclass(frozen=True)
class Detections:
    """What k studies with a direction of one size find."""

    readouts: list[Readout]
    """Of each family that is tested on."""
    cosines: Floats
    """(k,) of the vector at the planted layer with the direction planted there."""


@dataclass(frozen=True)
class PlantedStudies:
    """Random studies of the same questions, with directions planted at `layer`."""

    questions: StudyQuestions
    layer: int
    draws: Draws

    def detections(self, size: float) -> Detections:
        """What is found of directions of this size, in units of `StudyQuestions.spread`."""
        shifts = size * self._spread * self.draws.directions
        vectors = self._natural_vectors(self.layer) + shifts
        on_select = self._select_aurocs(self.layer, vectors, shifts)
        best, layers = self._best_of_other_layers
        # Of equals, the first layer, as the study selects.
        is_selected = (on_select > best) | ((on_select == best) & (self.layer < layers))
        readouts = [
            readout.where(is_selected, other)
            for readout, other in zip(
                self._readouts(self.layer, vectors, shifts, np.arange(len(self.draws))),
                self._readouts_of_other_layers,
                strict=True,
            )
        ]
        cosines = (vectors * self.draws.directions).sum(1) / np.linalg.norm(vectors, axis=1)
        return Detections(readouts, cosines)

    @cached_property
    def _spread(self) -> float:
        return self.questions.spread(self.layer)

    def _natural_vectors(self, layer: int) -> Floats:
        """(k, d_model) of the same groups of questions without a direction planted."""
        activations = self.questions.extraction_activations(layer)
        return mean_differences(activations, self.draws.extraction)

    def _select_aurocs(self, layer: int, vectors: Floats, shifts: Floats) -> Floats:
        """(k,) mean AUROC over the families on `select`."""
        means = [
            row_aurocs(
                planted_scores(
                    self.questions.activations_of(part, layer), planted, vectors, shifts
                ),
                planted,
            )
            for part, planted in zip(self.questions.select, self.draws.select, strict=True)
            if part.has_both_classes
        ]
        return np.mean(means, axis=0)

    @cached_property
    def _best_of_other_layers(self) -> tuple[Floats, NDArray[np.integer]]:
        """(k,) the highest AUROC on `select` of the layers that nothing is planted at, and (k,)
        the first layer that has it."""
        others = [n for n in range(self.questions.n_layers) if n != self.layer]
        if not others:
            return np.full(len(self.draws), -1.0), np.full(len(self.draws), self.layer)
        nothing = np.zeros_like(self.draws.directions)
        aurocs = np.stack(
            [self._select_aurocs(n, self._natural_vectors(n), nothing) for n in others]
        )
        return aurocs.max(0), np.array(others)[aurocs.argmax(0)]

    @cached_property
    def _readouts_of_other_layers(self) -> list[Readout]:
        """Of each family, what is read at the best of the layers that nothing is planted at."""
        k = len(self.draws)
        readouts = [
            Readout(np.full(k, np.nan), np.zeros(k, dtype=bool)) for _ in self.questions.test
        ]
        _, layers = self._best_of_other_layers
        for layer in np.unique(layers):
            studies = np.flatnonzero(layers == layer)
            vectors = self._natural_vectors(int(layer))[studies]
            parts = self._readouts(int(layer), vectors, np.zeros_like(vectors), studies)
            for whole, part in zip(readouts, parts, strict=True):
                whole.aurocs[studies] = part.aurocs
                whole.is_predicted[studies] = part.is_predicted
        return readouts

    def _readouts(
        self, layer: int, vectors: Floats, shifts: Floats, studies: NDArray[np.integer]
    ) -> list[Readout]:
        """Of each family, what the `studies` read at `layer` with their `vectors`."""
        rng = np.random.default_rng([SEED, layer])
        random = rng.standard_normal((N_RANDOM_DIRECTIONS, self.questions.d_model))
        readouts = []
        for part, planted in zip(self.questions.test, self.draws.test, strict=True):
            activations = self.questions.activations_of(part, layer)
            scores = planted_scores(activations, planted[studies], vectors, shifts)
            chance = RandomDirections(random @ activations.T, random @ shifts.T)
            readouts.append(read_out(part, scores, planted[studies], chance))
        return readouts


@dataclass(frozen=True)
class RandomDirections:
    """Projections on random directions, as they are and by how much planting moves them."""

    projections: Floats
    """(directions, n)"""
    shifts: Floats
    """(directions, k)"""

    def aurocs(self, study: int, planted: Labels) -> Floats:
        """(directions,) in one of the studies."""
        return auroc(self.projections + planted * self.shifts[:, [study]], planted)


def read_out(part: Questions, scores: Floats, planted: Labels, chance: RandomDirections) -> Readout:
    """Whether each row of `scores` (k, n) predicts which questions are `planted` (k, n)."""
    aurocs = np.full(len(scores), np.nan)
    predicted = np.zeros(len(scores), dtype=bool)
    if part.has_both_classes:
        for study, (own, labels) in enumerate(zip(scores, planted, strict=True)):
            estimate = clustered_auroc(own, labels, part.items)
            aurocs[study] = estimate.value
            random = _in_study(chance, study, labels)
            predicted[study] = is_predicted(estimate, random)
    return Readout(aurocs, predicted)


def _in_study(chance: RandomDirections, study: int, labels: Labels) -> Callable[[], Floats]:
    return lambda: chance.aurocs(study, labels)


def is_predicted(estimate: Estimate, random_aurocs: Callable[[], Floats]) -> bool:
    """Whether the study says "predicted" of one AUROC, without a "but".

    `random_aurocs` of random directions are computed only where the interval lies above chance.
    """
    if not (estimate.low > CHANCE):
        return False
    low, high = central_interval(random_aurocs())
    return not low <= estimate.value <= high


def row_aurocs(scores: Floats, labels: Labels) -> Floats:
    """(k,) AUROC of each row of `scores` (k, n) for the same row of `labels` (k, n)."""
    return np.array([auroc(own, planted) for own, planted in zip(scores, labels, strict=True)])
