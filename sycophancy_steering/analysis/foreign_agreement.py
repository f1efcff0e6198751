"""How far vectors from elsewhere agree with the study's mean differences, and with one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from sycophancy_steering.analysis.consistency import MeanDifference
from sycophancy_steering.analysis.cross_item_products import (
    Direction,
    ItemGroups,
    inner_product,
    jackknife_interval,
    nonzero_squared_norm,
    second_order_error,
)
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.schemas.analysis import AGREEMENT
from sycophancy_steering.statistics.estimates import Estimate, undefined
from sycophancy_steering.statistics.vector_agreement import cosine


def foreign_agreement_table(
    foreign: Mapping[str, Floats], vectors: Sequence[MeanDifference], groups: ItemGroups
) -> pl.DataFrame:
    """Rows of AGREEMENT, but for the layer: each of `foreign` (d_model,) by name, as
    `foreign/NAME` without position or family, with each whole set's mean difference and with each
    other.

    `noise_free_cosine` takes out the noise of the mean difference; that of a vector from elsewhere
    is not known, so it stays in, and between two of them it is NaN.
    """
    rows = []
    names = [*foreign]
    for n, name in enumerate(names):
        one = foreign[name]
        for other in vectors:
            if not other.subset:
                estimate = fixed_cosine(one, other.direction, groups)
                key = (other.prompt_set, other.position, other.family)
                rows.append(_row(name, key, cosine(one, other.direction.vectors[0]), estimate))
        for second in names[n + 1 :]:
            key = (f"foreign/{second}", "", "")
            rows.append(_row(name, key, cosine(one, foreign[second]), undefined(())))
    schema = {name: kind for name, kind in AGREEMENT.columns.items() if name != "layer"}
    return pl.DataFrame(rows, schema=schema, orient="row")


def fixed_cosine(fixed: Floats, direction: Direction, groups: ItemGroups) -> Estimate:
    """The cosine of a vector without noise (d_model,) and the direction that a mean difference
    estimates, with its 95% interval; NaN where that may be only noise."""
    squares = nonzero_squared_norm(inner_product(direction, direction, groups), direction)
    norms = np.sqrt(squares)
    values = direction.vectors @ (fixed / np.linalg.norm(fixed)) / norms
    influences = direction.influences / norms[0]
    items = direction.items, direction.items
    error = second_order_error(np.zeros_like(influences), influences, items, float(values[0]))
    return jackknife_interval(values, len(groups.groups), error)


def _row(
    name: str, other: tuple[str, str, str], plain: Floats, noise_free: Estimate
) -> tuple[object, ...]:
    ends = map(float, (noise_free.value, noise_free.low, noise_free.high))
    return (f"foreign/{name}", "", "", *other, float(plain), *ends)
