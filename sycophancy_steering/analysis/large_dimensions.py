"""Names the coordinates that are far larger than the others, and what they do to a vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.config.variants import Position, Variant
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.large_dimensions import large_dimensions
from sycophancy_steering.schemas.analysis import LARGE_DIMENSIONS
from sycophancy_steering.vectors.contrast import Contrast, MethodNotApplicable


def large_dimensions_table(study: ModelStudy, variants: Sequence[Variant]) -> pl.DataFrame:
    """The table LARGE_DIMENSIONS: every extraction set at the positions of `variants`."""
    used: dict[Position, None] = dict.fromkeys(variant.position for variant in variants)
    rows = []
    for prompt_set, answers in (study.extractions | study.statistics).items():
        layers = range(answers.origin.n_layers)
        for layer in tqdm(layers, unit="layer", disable=None, desc=f"{prompt_set}: dimensions"):
            for position in used:
                try:
                    contrast = answers.contrast(Variant("mean_difference", position), layer)
                except MethodNotApplicable:  # no vector there, as the vectors stage has said
                    continue
                where = {"prompt_set": prompt_set, "position": position, "layer": layer}
                rows += [where | row for row in large_dimension_rows(contrast)]
    return pl.DataFrame(rows, schema=LARGE_DIMENSIONS.columns)


def large_dimension_rows(contrast: Contrast) -> list[dict[str, float]]:
    """A row a large coordinate: the columns of LARGE_DIMENSIONS that one contrast fills."""
    magnitude, median = contrast.magnitude, float(np.median(contrast.magnitude))
    squares = contrast.mean_difference**2
    noise, massive = _noise(contrast), _massive_counts(contrast)
    return [
        {
            "dimension": int(dimension),
            "n": len(contrast),
            "magnitude": float(magnitude[dimension]),
            "times_median": float(magnitude[dimension]) / median if median else float("inf"),
            "massive_share": float(massive[dimension]) / len(contrast),
            "difference_share": float(squares[dimension] / squares.sum()),
            "noise_share": float(noise[dimension] / noise.sum()),
        }
        for dimension in np.flatnonzero(large_dimensions(magnitude))
    ]


def _noise(contrast: Contrast) -> Floats:
    """(d_model,) sampling variance of each coordinate of the mean difference."""
    if contrast.paired:
        return contrast.differences.variance / len(contrast.sycophantic)
    one, two = (group.activations.variance / len(group) for group in contrast.groups)
    return one + two


def _massive_counts(contrast: Contrast) -> Floats:
    """(d_model,) number of answers in which each coordinate is massive."""
    return np.sum([group.activations.massive_counts for group in contrast.groups], axis=0)
