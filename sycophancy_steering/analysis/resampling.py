"""Vectors made again from resampled items: from halves, or from bootstrap samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.vectors.contrast import MethodNotApplicable
from sycophancy_steering.vectors.labelled_activations import LabelledActivations, Rows
from sycophancy_steering.vectors.methods import steering_vector

Items = Sequence[str] | NDArray[np.str_]


def item_halves(
    answers: LabelledActivations, n_splits: int, seed: int = 0
) -> Iterator[tuple[Items, Items]]:
    """The items of a set, split in half at random `n_splits` times."""
    items = np.unique(answers.items)
    rng = np.random.default_rng(seed)
    for _ in range(n_splits):
        order = rng.permutation(items)
        yield order[: len(order) // 2], order[len(order) // 2 :]


def item_bootstraps(
    answers: LabelledActivations, n_resamples: int, seed: int = 0
) -> Iterator[Items]:
    """As many items as a set has, drawn with replacement, `n_resamples` times."""
    items = np.unique(answers.items)
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield rng.choice(items, len(items))


def vectors_from_items(answers: LabelledActivations, variant: Variant, items: Items) -> Floats:
    """(layers, d_model): the vectors of `variant` from the answers about `items`.

    An item counts as often as it occurs. Raises MethodNotApplicable where they do not allow it.
    """
    rows_of: dict[str, list[int]] = {}
    for row, item in enumerate(answers.items):
        rows_of.setdefault(str(item), []).append(row)
    wanted = np.array([row for item in items for row in rows_of[str(item)]])
    one, two = (_members(wanted, group) for group in answers.selected_rows(variant))
    if min(len(one), len(two)) < 2:
        raise MethodNotApplicable("fewer than 2 answers of a class about these items")
    contrasts = (
        answers.contrast(variant, layer, (one, two)) for layer in range(answers.origin.n_layers)
    )
    vectors = [
        steering_vector(variant.method, contrast, variant.normalisation) for contrast in contrasts
    ]
    return np.stack(vectors).astype(np.float64)


def _members(rows: Rows, group: Rows) -> Rows:
    return rows[np.isin(rows, group)]
