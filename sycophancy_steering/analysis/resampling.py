"""Vectors made again from some of a set's items: halves of them, or drawn with replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.vectors.contrast import Inapplicable
from sycophancy_steering.vectors.labelled_activations import Material, Rows
from sycophancy_steering.vectors.methods import steering_vector
from sycophancy_steering.vectors.variants import Recipe

Items = Sequence[str] | NDArray[np.str_]


def halved(given: Material, splits: int, seed: int = 0) -> Iterator[tuple[Items, Items]]:
    """The items of a set, split in half at random many times."""
    items = np.unique(given.items)
    draw = np.random.default_rng(seed)
    for _ in range(splits):
        order = draw.permutation(items)
        yield order[: len(order) // 2], order[len(order) // 2 :]


def drawn(given: Material, draws: int, seed: int = 0) -> Iterator[Items]:
    """As many items as a set has, drawn with replacement, many times."""
    items = np.unique(given.items)
    draw = np.random.default_rng(seed)
    for _ in range(draws):
        yield draw.choice(items, len(items))


def made_from(given: Material, recipe: Recipe, items: Items) -> Floats:
    """(layers, d_model): the vectors of `recipe` from the answers about `items`, as often as each
    is there. Raises Inapplicable where they do not allow it."""
    places: dict[str, list[int]] = {}
    for row, item in enumerate(given.items):
        places.setdefault(str(item), []).append(row)
    wanted = np.array([row for item in items for row in places[str(item)]])
    one, two = given.rows(recipe)
    rows = _those(wanted, one), _those(wanted, two)
    if min(map(len, rows)) < 2:
        raise Inapplicable("fewer than 2 answers of a kind about these items")
    contrasts = (given.contrast(recipe, layer, rows) for layer in range(given.origin.layers))
    vectors = [steering_vector(recipe.method, at, recipe.normalisation) for at in contrasts]
    return np.stack(vectors).astype(np.float64)


def _those(wanted: Rows, among: Rows) -> Rows:
    return wanted[np.isin(wanted, among)]
