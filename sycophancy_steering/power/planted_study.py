"""Random studies in which the truth is known: a direction planted at one layer.

A planted question's activation at the end of its prompt is `activation + length * direction` there,
exactly what an intervention at that token gives (`engine.intervention.add_vector`), so no model is
run; other layers stay as they are, though a model would carry the direction on to those above.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.power.planted_questions import Questions

Activations = Callable[[str, int], Floats]
"""(n, d_model) of a prompt set at a layer, at the end of the prompts."""


@dataclass(frozen=True)
class StudyQuestions:
    """The questions that a study makes its vectors from, selects the layer by, and tests on."""

    extraction: Sequence[Questions]
    select: Sequence[Questions]
    test: Sequence[Questions]
    activations: Activations
    n_layers: int
    d_model: int

    @property
    def is_possible(self) -> bool:
        """Whether a vector can be made, and a layer selected."""
        n_planted = sum(part.n_planted for part in self.extraction)
        n_other = sum(map(len, self.extraction)) - n_planted
        return min(n_planted, n_other) >= 2 and any(p.has_both_classes for p in self.select)

    def extraction_activations(self, layer: int) -> Floats:
        """(n, d_model) of all extraction questions."""
        return np.concatenate([self.activations_of(part, layer) for part in self.extraction])

    def activations_of(self, questions: Questions, layer: int) -> Floats:
        """(n, d_model)"""
        return self.activations(questions.prompt_set, layer)[questions.rows]

    def spread(self, layer: int) -> float:
        """The typical (root mean square) distance of an activation from its prompt set's mean: the
        unit of `size`."""
        squares = [
            ((activations - activations.mean(0)) ** 2).sum(1)
            for part in self.extraction
            for activations in [self.activations_of(part, layer)]
        ]
        return float(np.sqrt(np.concatenate(squares).mean()))

    def typical_norm(self, layer: int) -> float:
        """The median norm of an activation of the extraction questions."""
        return float(np.median(np.linalg.norm(self.extraction_activations(layer), axis=1)))


@dataclass(frozen=True)
class Draws:
    """k random studies: which questions are planted, each study with a direction of its own."""

    extraction: Labels
    """(k, n)"""
    select: Sequence[Labels]
    """(k, n) of each family."""
    test: Sequence[Labels]
    """(k, n) of each family."""
    directions: Floats
    """(k, d_model) random unit vectors."""

    @classmethod
    def at_random(cls, questions: StudyQuestions, count: int, seed: int) -> Draws:
        """`count` studies; the same seed gives the same ones."""
        rng = np.random.default_rng(seed)

        def planted(part: Questions) -> Labels:
            return np.stack([part.draw_planted(rng) for _ in range(count)])

        extraction = np.concatenate([planted(part) for part in questions.extraction], axis=1)
        select, test = ([planted(p) for p in use] for use in (questions.select, questions.test))
        directions = rng.standard_normal((count, questions.d_model))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return cls(extraction, select, test, directions)

    def __len__(self) -> int:
        return len(self.directions)


def mean_differences(activations: Floats, planted: Labels) -> Floats:
    """(k, d_model) mean of the planted minus mean of the other `activations` (n, d_model), for each
    row of `planted` (k, n)."""
    n_planted = planted.sum(1, keepdims=True)
    weights = planted / n_planted - (1 - planted) / (planted.shape[1] - n_planted)
    return weights @ activations


def planted_scores(activations: Floats, planted: Labels, vectors: Floats, shifts: Floats) -> Floats:
    """Projections (k, n) of `activations` (n, d_model) on the unit vectors of `vectors`
    (k, d_model), where those `planted` (k, n) are moved by `shifts` (k, d_model)."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ activations.T + planted * (unit * shifts).sum(1, keepdims=True)
