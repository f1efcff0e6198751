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
    if labels.min(initial=1) == labels.max(initial=0):
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
        return self.add_influences(names, item_influences(scores, labels, clusters, self.items))

    def add_influences(self, names: Sequence[str], influences: Floats) -> Floats:
        """The same for any statistic, from its items' `influences` (k, n_items) of length one."""
        for name in dict.fromkeys(names):
            own = maximum_statistics(influences[[vector == name for vector in names]], self.signs)
            self.maxima[name] = np.maximum(self.maxima.get(name, 0.0), own)
        return observed_statistics(influences)


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
