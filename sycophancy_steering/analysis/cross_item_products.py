"""Mean differences as sums over items, and what angles between them are without the noise.

The vector of a set is a mean over its answers, so it holds noise, and two such vectors lie further
apart than what they are estimates of. Products of one item's states with another item's states hold
none in the mean: so lengths and angles are taken from these alone (U-statistics, Hoeffding 1948),
with intervals from leaving out items (the jackknife, Tukey 1958).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import Estimate, students_t
from sycophancy_steering.vectors.contrast import Group, Names
from sycophancy_steering.vectors.labelled_activations import Material, Rows
from sycophancy_steering.vectors.variants import Position, Recipe

Indices = NDArray[np.intp]
GROUPS = 40
"""Of items that are left out one after the other, at most."""


@dataclass(frozen=True)
class Items:
    """All items of a study, and which are left out together."""

    places: Mapping[str, int]
    """Item -> its number."""
    groups: Indices
    """(items,)"""

    def without(self, values: Floats, items: Indices) -> Floats:
        """(groups + 1, ...): the sum of `values` (n, ...), which belong to `items` (n,); and the
        same without each group."""
        by_group = np.zeros((int(self.groups.max()) + 1, *values.shape[1:]))
        np.add.at(by_group, self.groups[items], values)
        total = by_group.sum(0)
        return np.concatenate([total[None], total - by_group])


@dataclass(frozen=True)
class Kind:
    """Answers of one kind, or the differences of pairs, summed by item."""

    sign: float
    """With which their mean counts."""
    sums: Floats
    """(items, d_model)"""
    counts: Floats
    """(items,)"""
    squares: Floats
    """(items,) sum of squared lengths."""
    squares_with_letters: Floats
    """(items,) the same before letters were evened out."""
    totals: Floats
    """(groups + 1, d_model): over all items, and without each group of them."""
    numbers: Floats
    """(groups + 1,) how many answers."""
    along: Floats
    """(groups + 1,) the sum of how far answers lie along the vector, before that was evened out."""


@dataclass(frozen=True)
class Direction:
    """A mean difference: the mean of the differences of pairs, or that of two kinds of answers."""

    items: Indices
    """(items,) the numbers of its items."""
    kinds: tuple[Kind, ...]

    @property
    def vectors(self) -> Floats:
        """(groups + 1, d_model): from all items, and without each group of them."""
        means = [kind.sign * kind.totals / kind.numbers[:, None] for kind in self.kinds]
        return np.sum(means, axis=0)

    @property
    def lengths(self) -> Floats:
        """(groups + 1,) of the vector, if its length were not evened out."""
        return np.sum([kind.sign * kind.along / kind.numbers for kind in self.kinds], axis=0)

    @property
    def pulls(self) -> Floats:
        """(items, d_model): by how much each item moves the vector; they add up to nothing."""
        moved = [
            kind.sign
            * (kind.sums - kind.counts[:, None] * kind.totals[0] / kind.numbers[0])
            / kind.numbers[0]
            for kind in self.kinds
        ]
        return np.sum(moved, axis=0)


def direction(
    given: Material,
    position: Position,
    layer: int,
    study: Items,
    rows: tuple[Rows, Rows] | None = None,
) -> Direction:
    """The mean difference at `position` and `layer`; only of `rows`, where given.

    Contrast pairs are one kind, naturally labelled answers are two, less what they have in common.
    Two things are evened out, neither of which turns the mean: how far answers lie along it, which
    makes it longer or shorter; and what differs between the letters of answers, by which sets are
    balanced, so that it is no part of their noise. Raises Inapplicable where a kind is missing.
    """
    contrast = given.contrast(Recipe("mean_difference", position), layer, rows)
    if contrast.paired:
        values = [(1.0, replace(contrast.sycophantic, states=contrast.differences))]
    else:
        centred = contrast.mapped(lambda block: block - contrast.mean)
        values = [*zip((1.0, -1.0), centred.groups, strict=True)]
    names = np.unique(np.concatenate([group.items for _, group in values]))
    items = np.array([study.places[str(name)] for name in names], dtype=np.intp)
    along = contrast.mean_difference / (np.linalg.norm(contrast.mean_difference) or 1)
    kinds = [_kind(sign, group, along, names, items, study) for sign, group in values]
    return Direction(items, tuple(kinds))


def _kind(
    sign: float, group: Group, along: Floats, names: Names, items: Indices, study: Items
) -> Kind:
    """The answers of one kind, about the items `names` whose numbers are `items`."""
    of, mean = np.searchsorted(names, group.items), group.states.mean
    evened = _letters_evened(group, along)
    letters = np.array([[letter] for letter in evened])
    sums = np.zeros((len(names), len(mean)))
    counts, squares, squares_with_letters, reach = np.zeros((4, len(names)))
    for at, block in group.states.placed():
        with_letters = block - ((block - mean) @ along)[:, None] * along
        said = (group.letters[at] == letters).argmax(0)
        even = with_letters + np.stack([*evened.values()])[said]
        np.add.at(sums, of[at], even)
        for found, each in (
            (counts, np.ones(len(block))),
            (squares, (even**2).sum(1)),
            (squares_with_letters, (with_letters**2).sum(1)),
            (reach, block @ along),
        ):
            found += np.bincount(of[at], each, len(names))
    return Kind(
        sign,
        sums,
        counts,
        squares,
        squares_with_letters,
        totals=study.without(sums, items),
        numbers=study.without(counts, items),
        along=study.without(reach, items),
    )


def _letters_evened(group: Group, along: Floats) -> dict[str, Floats]:
    """What has to be added to answers that say each letter, once how far they lie along a vector is
    evened out, so that letters make no difference and the mean is the same."""
    mean, found = group.states.mean, {}
    for letter, (_, of) in group.letter_means().items():
        found[letter] = mean - (of - ((of - mean) @ along) * along)
    return found


def inner(one: Direction, two: Direction, study: Items) -> Floats:
    """(groups + 1,) inner product of what two directions estimate: from all items, and without each
    group of them. NaN where no two items are left."""
    shared, mine, theirs = np.intersect1d(one.items, two.items, return_indices=True)
    found = np.zeros(len(one.kinds[0].numbers))
    for a in one.kinds:
        for b in two.kinds:
            within = study.without((a.sums[mine] * b.sums[theirs]).sum(1), shared)
            pairs = study.without(a.counts[mine] * b.counts[theirs], shared)
            between = np.einsum("gd,gd->g", a.totals, b.totals) - within
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = between / np.round(a.numbers * b.numbers - pairs)
            found += a.sign * b.sign * np.where(np.isfinite(mean), mean, np.nan)
    return found


def angles(directions: Sequence[Direction], study: Items) -> tuple[Floats, Floats]:
    """(k, k, groups + 1): cosines between what k directions estimate; may pass 1 by chance.

    NaN where a direction is nothing but noise (see `sure`). The last axis is that of `inner`. And
    (k, k): the least error that each has, see `least_error`.
    """
    k = len(directions)
    products = np.empty((k, k, int(study.groups.max()) + 2))
    for a in range(k):
        for b in range(a, k):
            products[a, b] = products[b, a] = inner(directions[a], directions[b], study)
    squares = [sure(products[a, a], directions[a]) for a in range(k)]
    lengths = np.sqrt(np.reshape(squares, (k, -1)))
    cosines = products / lengths[:, None] / lengths[None]
    pulls = [each.pulls / length for each, length in zip(directions, lengths[:, 0], strict=True)]
    least = np.zeros((k, k))
    for a in range(k):
        for b in range(a + 1, k):
            items = directions[a].items, directions[b].items
            least[a, b] = least[b, a] = least_error(pulls[a], pulls[b], items, cosines[a, b, 0])
    return cosines, least


def sure(squares: Floats, of: Direction) -> Floats:
    """Squared lengths (groups + 1,) of a direction, or NaN where it may be nothing but noise: where
    the interval of its squared length holds 0."""
    low = jackknifed(squares, len(of.items)).low
    return squares if low > 0 and squares.min() > 0 else np.full_like(squares, np.nan)


def least_error(one: Floats, two: Floats, items: tuple[Indices, Indices], cosine: float) -> float:
    """The standard error of a cosine that is left where no single item turns it.

    Where two directions are all but one, to leave out an item shows nothing to the first order, and
    the jackknife may say that there is no error. This is that of the second order, the products of
    items' `pulls` (items, d_model) on vectors of length one: for a sum of products of independent
    pairs with kernel k, 2 sum(k^2).
    """
    every = np.union1d(*items)
    moved = np.zeros((2, len(every), one.shape[1]))
    for n, (pulls, of) in enumerate(zip((one, two), items, strict=True)):
        moved[n, np.searchsorted(every, of)] = pulls
    across, *within = moved[0] @ moved[1].T, *(each @ each.T for each in moved)
    kernel = (across + across.T) / 2 - cosine / 2 * (within[0] + within[1])
    return float(np.sqrt(2 * (kernel**2).sum()))


def jackknifed(values: Floats, items: int, least: float = 0.0) -> Estimate:
    """95% intervals of statistics (..., groups + 1): of all items, and without each group of them.

    Student's t with one degree of freedom less than there are `items`, or groups of them. Given the
    error of the second order, `least`, which the jackknife counts twice (Efron and Stein 1981), it
    counts once, and in any case once.
    """
    value, without = values[..., 0], values[..., 1:]
    n = without.shape[-1]
    spread = ((without - without.mean(-1, keepdims=True)) ** 2).sum(-1)
    square = np.maximum((n - 1) / n * spread - least**2, least**2)
    reach = students_t(max(min(items, n) - 1, 1)) * np.sqrt(square)
    return Estimate(value, value - reach, value + reach)


def grouped(families: Mapping[str, str], seed: int = 0) -> Items:
    """The items of a study (item -> family), those of every family dealt evenly over groups."""
    draw = np.random.default_rng(seed)
    places = {item: n for n, item in enumerate(families)}
    names = np.array(list(families.values()))
    groups = np.zeros(len(names), dtype=np.intp)
    count = min(GROUPS, max(int((names == family).sum()) for family in set(families.values())))
    for family in sorted(set(families.values())):
        of = draw.permutation(np.flatnonzero(names == family))
        groups[of] = np.arange(len(of)) % count
    return Items(places, groups)
