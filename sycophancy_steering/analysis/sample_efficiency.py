"""How many pairs a way of making vectors needs, and whether pairing is what saves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.permuted_vectors import aurocs
from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.statistics.discrimination import middle
from sycophancy_steering.vectors.contrast import Contrast, Inapplicable
from sycophancy_steering.vectors.labelled_activations import Material
from sycophancy_steering.vectors.methods import PAIRS_ONLY, steering_vector
from sycophancy_steering.vectors.variants import Recipe

SCHEMA = {"method": pl.String, "paired": pl.Boolean, "pairs": pl.Int64, "draw": pl.Int64}
SCHEMA |= {"family": pl.String, "auroc": pl.Float64}


@dataclass(frozen=True)
class Efficiency:
    """`efficiency` in params.yaml."""

    pairs: list[int]
    """Numbers of pairs that vectors are made from."""
    draws: int
    """How often each number of pairs is drawn anew."""

    def __post_init__(self) -> None:
        if min(self.pairs) < 2:
            raise InputError(
                f"params.yaml: efficiency.pairs: expected at least 2, found {min(self.pairs)}"
            )
        if self.draws < 2:
            raise InputError(
                f"params.yaml: efficiency.draws: expected at least 2, found {self.draws}"
            )


def contrast_of(
    given: Material, method: str, layer: int, pairs: int, paired: bool, seed: int
) -> Contrast:
    """As many states of either kind as there are `pairs`: of the same questions, or of others.

    Raises Inapplicable where there are not so many questions.
    """
    n = len(given.items)
    wanted = pairs if paired else 2 * pairs
    if wanted > n:
        raise Inapplicable(f"{n} questions; expected {wanted}")
    rows = np.random.default_rng([seed, pairs]).permutation(n)[:wanted]
    one, two = (rows, rows) if paired else (rows[:pairs], rows[pairs:])
    found = given.contrast(Recipe(method, "answer", seed=seed), layer, (one, two))
    return found if paired else replace(found, paired=False, component=None)


def learned(
    given: Material,
    methods: Sequence[str],
    layer: int,
    settings: Efficiency,
    cells: Mapping[str, Cell],
    states: Stream,
) -> pl.DataFrame:
    """A row a method, pairing, number of pairs, draw and family: the AUROC on the family's answers.

    Vectors are made at `layer`; `states` (N, d_model) are those of all answers there. A number of
    pairs that the set does not have has no rows.
    """
    made, vectors = [], []
    for method in methods:
        for paired in (True,) if method in PAIRS_ONLY else (True, False):
            for pairs in settings.pairs:
                for draw in range(settings.draws):
                    try:
                        at = contrast_of(given, method, layer, pairs, paired, draw)
                        vectors.append(steering_vector(method, at))
                    except Inapplicable:
                        continue
                    made.append((method, paired, pairs, draw))
    areas = aurocs(
        np.stack(vectors).astype(np.float64), states, [cell.labelled for cell in cells.values()]
    )
    rows = [
        (*of, family, float(area[n]))
        for n, of in enumerate(made)
        for family, area in zip(cells, areas, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def curves(found: pl.DataFrame) -> pl.DataFrame:
    """Over draws: the mean AUROC, the bounds of the middle 95%, and the standard deviation."""
    keys = ["method", "paired", "pairs", "family"]
    rows = []
    for key, held in found.group_by(keys, maintain_order=True):
        areas = held["auroc"].to_numpy()
        low, high = middle(areas)
        spread = areas.std(ddof=1) if len(areas) > 1 else np.nan
        rows.append((*key, len(areas), areas.mean(), float(low), float(high), float(spread)))
    schema = {name: SCHEMA[name] for name in keys} | {"draws": pl.Int64}
    schema |= dict.fromkeys(["auroc", "low", "high", "spread"], pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")
