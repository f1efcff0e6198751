"""Sign-flip tests of many read-outs at once, which allow correlated answers about one item.

Under the null a read-out's item-wise contributions to AUROC - 0.5, or to another statistic that is
0 without an effect, are symmetric about 0, so all sign patterns are equally likely, jointly for all
read-outs (Hemerik, Goeman and Finos 2020, https://doi.org/10.1111/rssb.12369, on flipping score
contributions; Winkler et al. 2014, https://doi.org/10.1016/j.neuroimage.2014.01.060, on the maximum
of many statistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.auroc import auroc, placements

Items = NDArray[np.generic]


def item_influences(scores: Floats, labels: Labels, clusters: Items, all_items: Items) -> Floats:
    """Each item's contribution to AUROC - 0.5 of each of `scores` (k, n), scaled to length one.

    (k, len(all_items)), a column for each of the sorted `all_items`; 0 where one class is missing.
    """
    if len(set(labels.tolist())) < 2:
        return np.zeros((len(scores), len(all_items)))
    # Both answers of a pair contribute, so each is centred at half of AUROC - 0.5.
    contributions = placements(scores, labels, (auroc(scores, labels) + 0.5) / 2)
    return unit_item_sums(contributions, clusters, all_items)


def unit_item_sums(contributions: Floats, clusters: Items, all_items: Items) -> Floats:
    """Sums of each answer's `contributions` (k, n) by item, each row scaled to length one.

    (k, len(all_items)), a column for each of the sorted `all_items`; a row of zeros stays as it is.
    """
    influences = np.zeros((len(contributions), len(all_items)))
    column = np.searchsorted(all_items, clusters)
    order = np.argsort(column, kind="stable")
    present, starts = np.unique(column[order], return_index=True)
    influences[:, present] = np.add.reduceat(contributions[:, order], starts, axis=1)
    lengths = np.linalg.norm(influences, axis=1, keepdims=True)
    return np.divide(influences, lengths, out=np.zeros_like(influences), where=lengths > 0)


def product_influences(
    x: Floats, y: Floats, strata: Items, clusters: Items, all_items: Items
) -> tuple[Floats, Floats]:
    """Statistics (k,) and items' influences (k, len(all_items)) of the sum of `x` * `y`.

    `x` (k, n) and `y` (n,) have mean 0 in each of the `strata` (n,), so that under the null only
    their means were estimated: what depends on the estimated effect would make large estimates look
    certain. Taking the means out makes a sum with flipped signs vary less than the sum itself. The
    statistics are made smaller by as much, for the average flip and errors of `y` of one variance
    (De Santis, Goeman, Hemerik, Davenport and Finos 2022, https://arxiv.org/abs/2209.13918).
    """
    influences = unit_item_sums(x * y, clusters, all_items)
    _, stratum = np.unique(strata, return_inverse=True)
    item = np.searchsorted(all_items, clusters)
    part = stratum * len(all_items) + item
    order = np.argsort(part, kind="stable")
    parts, starts = np.unique(part[order], return_index=True)
    sizes = np.bincount(stratum)[parts // len(all_items)]
    removed = (np.add.reduceat(x[:, order], starts, axis=1) ** 2 / sizes).sum(1)
    total = (x**2).sum(1)
    removed = np.divide(removed, total, out=np.zeros_like(total), where=total > 0)
    return observed_statistics(influences) * np.sqrt(np.maximum(1 - removed, 0)), influences


@dataclass(frozen=True)
class SignFlipTest:
    """The null distribution of each vector's largest statistic, over read-outs added in turn."""

    items: Items
    """(n_items,) sorted."""
    signs: Floats
    """(n_items, n_permutations)"""
    maxima: dict[str, Floats] = field(default_factory=dict)
    """By vector: (n_permutations,) the largest statistic of its read-outs so far."""

    def add(self, names: Sequence[str], scores: Floats, labels: Labels, clusters: Items) -> Floats:
        """Adds `scores` (k, n), read-outs of the vectors in `names` (k,).

        Returns their statistics (k,).
        """
        influences = item_influences(scores, labels, clusters, self.items)
        observed = observed_statistics(influences)
        self.add_influences(names, observed, influences)
        return observed

    def add_influences(self, names: Sequence[str], observed: Floats, influences: Floats) -> Floats:
        """Adds read-outs by their `observed` statistics (k,) and their items' `influences`
        (k, n_items), of any statistic.

        Returns each read-out's own p-value (k,), as of a test that was named beforehand.
        """
        own = np.empty(len(observed))
        for name in dict.fromkeys(names):
            rows = np.flatnonzero([vector == name for vector in names])
            flipped = np.abs(influences[rows] @ self.signs)
            self.maxima[name] = np.maximum(self.maxima.get(name, 0.0), flipped.max(0))
            reached = flipped >= np.abs(observed[rows, None]) * (1 - 1e-12)
            own[rows] = (1 + reached.sum(1)) / (1 + flipped.shape[1])
        return own


def random_signs(n_items: int, n_permutations: int, seed: int) -> Floats:
    """(n_items, n_permutations) of 1 and -1; one sign for all answers about an item."""
    return np.random.default_rng(seed).choice([-1.0, 1.0], (n_items, n_permutations))


def observed_statistics(influences: Floats) -> Floats:
    """(k,) AUROC - 0.5, or another statistic, over its standard deviation under random signs."""
    return influences.sum(1)


def maximum_statistics(influences: Floats, signs: Floats) -> Floats:
    """(n_permutations,) the largest absolute statistic of all read-outs under each sign pattern."""
    return np.abs(influences @ signs).max(0)


def p_values(observed: Floats, permuted: Floats) -> Floats:
    """Share of `permuted` maxima, the observed one included, that reach each of `observed`."""
    ordered = np.sort(permuted)
    reached = len(ordered) - np.searchsorted(ordered, np.abs(observed) * (1 - 1e-12))
    return (1 + reached) / (1 + len(ordered))
