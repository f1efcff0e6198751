"""Tests of many AUROCs at once that allow answers about one item to be alike.

If a read-out tells nothing, each item pulls its AUROC up as often as down. So the items' pulls,
with all their signs dealt anew, are as likely as they are, for all read-outs together (Hemerik,
Goeman and Finos 2020, https://doi.org/10.1111/rssb.12369, on flipping score contributions; Winkler
et al. 2014, https://doi.org/10.1016/j.neuroimage.2014.01.060, on the largest of many statistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import auroc, placements

Names = NDArray[np.generic]


def item_pulls(
    scores: Floats, labels: NDArray[np.integer], clusters: Names, every: Names
) -> Floats:
    """How each item pulls the AUROC of each of `scores` (k, n) from one half, at length one.

    (k, len(every)), a column for each name in `every`; all zero where there is but one class.
    """
    pulls = np.zeros((len(scores), len(every)))
    if labels.min(initial=1) == labels.max(initial=0):
        return pulls
    # Every pair is counted from both of its sides, so half of the distance is taken from each.
    weighted = placements(scores, labels, (auroc(scores, labels) + 0.5) / 2)
    column = np.searchsorted(every, clusters)
    order = np.argsort(column, kind="stable")
    present, starts = np.unique(column[order], return_index=True)
    pulls[:, present] = np.add.reduceat(weighted[:, order], starts, axis=1)
    lengths = np.linalg.norm(pulls, axis=1, keepdims=True)
    return np.divide(pulls, lengths, out=np.zeros_like(pulls), where=lengths > 0)


@dataclass(frozen=True)
class Flips:
    """What chance does to many read-outs of the same answers, gathered as they are measured."""

    items: Names
    """(items,) in order."""
    signs: Floats
    """(items, deals)"""
    largest: dict[str, Floats] = field(default_factory=dict)
    """For each vector, (deals,) the largest statistic of all its read-outs so far."""

    def measure(
        self, names: Sequence[str], scores: Floats, labels: NDArray[np.integer], clusters: Names
    ) -> Floats:
        """The statistics of `scores` (k, n), each a read-out of the vector in `names` (k,)."""
        pulls = item_pulls(scores, labels, clusters, self.items)
        for name in dict.fromkeys(names):
            own = largest_of(pulls[[each == name for each in names]], self.signs)
            self.largest[name] = np.maximum(self.largest.get(name, 0.0), own)
        return statistics_of(pulls)


def dealt_signs(items: int, deals: int, seed: int) -> Floats:
    """(items, deals) of 1 and -1."""
    return np.random.default_rng(seed).choice([-1.0, 1.0], (items, deals))


def statistics_of(pulls: Floats) -> Floats:
    """(k,) how far each AUROC is from one half, in units of what signs dealt at random give."""
    return pulls.sum(1)


def largest_of(pulls: Floats, signs: Floats) -> Floats:
    """(deals,) the largest statistic of all, up or down, when signs are dealt anew."""
    return np.abs(pulls @ signs).max(0)


def p_values(found: Floats, by_chance: Floats) -> Floats:
    """How often chance, with what was found as one of its deals, reaches each of `found`."""
    ordered = np.sort(by_chance)
    reached = len(ordered) - np.searchsorted(ordered, np.abs(found) * (1 - 1e-12))
    return (1 + reached) / (1 + len(ordered))
