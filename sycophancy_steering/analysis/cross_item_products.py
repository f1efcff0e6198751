"""Mean differences as sums over items, and the cosines between them without sampling noise.

A mean difference contains the noise of its answers, so the cosine of two underestimates that of the
directions they estimate. Products of the activations of *different* items contain no noise on
average: squared norms and inner products are taken from these alone (U-statistics, Hoeffding 1948),
with intervals from leaving out groups of items (the jackknife, Tukey 1958).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.config.variants import Position, Variant
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.estimates import Estimate, t_quantile
from sycophancy_steering.vectors.contrast import AnswerGroup, Names
from sycophancy_steering.vectors.labelled_activations import LabelledActivations, Rows

Indices = NDArray[np.intp]
MAX_GROUPS = 40
"""Of items that are left out together by the jackknife."""


@dataclass(frozen=True)
class ItemGroups:
    """All items of a study, and which of them the jackknife leaves out together.

    Arrays of shape (groups + 1, ...) hold a statistic of all items first, then of all but each
    group.
    """

    numbers: Mapping[str, int]
    """Item -> its number."""
    groups: Indices
    """(n_items,) the group of each item."""

    def leave_out_sums(self, values: Floats, items: Indices) -> Floats:
        """(groups + 1, ...): sums of `values` (n, ...), which belong to `items` (n,)."""
        by_group = np.zeros((int(self.groups.max()) + 1, *values.shape[1:]))
        np.add.at(by_group, self.groups[items], values)
        total = by_group.sum(0)
        return np.concatenate([total[None], total - by_group])


@dataclass(frozen=True)
class ClassSums:
    """The answers of one class, or the differences of pairs, summed by item."""

    sign: float
    """Of this class's mean in the mean difference."""
    sums: Floats
    """(items, d_model)"""
    counts: Floats
    """(items,)"""
    squared_norms: Floats
    """(items,) sums of squared norms."""
    squared_norms_with_letters: Floats
    """(items,) the same before the letters' means were equalised."""
    left_out_sums: Floats
    """(groups + 1, d_model)"""
    left_out_counts: Floats
    """(groups + 1,) numbers of answers."""
    left_out_lengths: Floats
    """(groups + 1,) sums of the components along the vector, before these were equalised."""


@dataclass(frozen=True)
class Direction:
    """A mean difference: the mean of the differences of pairs, or of two classes of answers."""

    items: Indices
    """(items,) numbers of its items."""
    classes: tuple[ClassSums, ...]

    @property
    def vectors(self) -> Floats:
        """(groups + 1, d_model); NaN where a class has no answers without a group."""
        with np.errstate(invalid="ignore"):
            means = [
                part.sign * part.left_out_sums / part.left_out_counts[:, None]
                for part in self.classes
            ]
        return np.sum(means, axis=0)

    @property
    def lengths(self) -> Floats:
        """(groups + 1,) norms of the vectors, without the components having been equalised."""
        with np.errstate(invalid="ignore"):
            parts = [
                part.sign * part.left_out_lengths / part.left_out_counts for part in self.classes
            ]
        return np.sum(parts, axis=0)

    @property
    def influences(self) -> Floats:
        """(items, d_model) influence of each item on the vector; they sum to zero."""
        influences = [
            part.sign
            * (part.sums - part.counts[:, None] * part.left_out_sums[0] / part.left_out_counts[0])
            / part.left_out_counts[0]
            for part in self.classes
        ]
        return np.sum(influences, axis=0)


@dataclass(frozen=True)
class CosineMatrix:
    """Cosines between the directions that k mean differences estimate."""

    values: Floats
    """(k, k, groups + 1); may pass 1 by chance; NaN where a direction may be only noise."""
    second_order_errors: Floats
    """(k, k), see `second_order_error`."""


def mean_difference_by_item(
    answers: LabelledActivations,
    position: Position,
    layer: int,
    groups: ItemGroups,
    rows: tuple[Rows, Rows] | None = None,
) -> Direction:
    """The mean difference at `position` and `layer`; of `rows` only, where given.

    Contrast pairs are one class, naturally labelled answers are two, centred at their joint mean.
    Two things are equalised, neither of which turns the mean: the component of each answer along
    the vector, which only changes its norm; and the means of the letters, by which sets are
    balanced, so that letters are no noise. Raises MethodNotApplicable where a class is missing.
    """
    contrast = answers.contrast(Variant("mean_difference", position), layer, rows)
    if contrast.paired:
        classes = [(1.0, replace(contrast.sycophantic, activations=contrast.differences))]
    else:
        centred = contrast.map_activations(lambda block: block - contrast.mean)
        classes = [*zip((1.0, -1.0), centred.groups, strict=True)]
    names = np.unique(np.concatenate([group.items for _, group in classes]))
    mean = contrast.mean_difference
    unit = mean / (np.linalg.norm(mean) or 1)
    sums = tuple(_class_sums(sign, group, unit, names, groups) for sign, group in classes)
    return Direction(_item_numbers(names, groups), sums)


def _item_numbers(names: Names, groups: ItemGroups) -> Indices:
    return np.array([groups.numbers[str(name)] for name in names], dtype=np.intp)


def _class_sums(
    sign: float, group: AnswerGroup, unit: Floats, names: Names, groups: ItemGroups
) -> ClassSums:
    """Sums over the items `names`, with components along `unit` and letters equalised."""
    item_of, mean = np.searchsorted(names, group.items), group.activations.mean
    items = _item_numbers(names, groups)
    offsets = _letter_offsets(group, unit)
    letters = np.array([[letter] for letter in offsets])
    sums = np.zeros((len(names), len(mean)))
    counts, squares, squares_with_letters, lengths = np.zeros((4, len(names)))
    for rows, block in group.activations.indexed_blocks():
        with_letters = block - ((block - mean) @ unit)[:, None] * unit
        letter_of = (group.letters[rows] == letters).argmax(0)
        equalised = with_letters + np.stack([*offsets.values()])[letter_of]
        np.add.at(sums, item_of[rows], equalised)
        for total, values in (
            (counts, np.ones(len(block))),
            (squares, (equalised**2).sum(1)),
            (squares_with_letters, (with_letters**2).sum(1)),
            (lengths, block @ unit),
        ):
            total += np.bincount(item_of[rows], values, len(names))
    return ClassSums(
        sign,
        sums,
        counts,
        squares,
        squares_with_letters,
        left_out_sums=groups.leave_out_sums(sums, items),
        left_out_counts=groups.leave_out_sums(counts, items),
        left_out_lengths=groups.leave_out_sums(lengths, items),
    )


def _letter_offsets(group: AnswerGroup, unit: Floats) -> dict[str, Floats]:
    """(d_model,) by letter: what equalises the letters' means and keeps the overall mean, once
    components along `unit` are equalised."""
    mean = group.activations.mean
    return {
        letter: mean - (of_letter - ((of_letter - mean) @ unit) * unit)
        for letter, (_, of_letter) in group.means_by_letter().items()
    }


def inner_product(one: Direction, two: Direction, groups: ItemGroups) -> Floats:
    """(groups + 1,) unbiased inner product of the directions that two mean differences estimate.

    NaN where no two items are left.
    """
    shared, rows_one, rows_two = np.intersect1d(one.items, two.items, return_indices=True)
    products = np.zeros(len(one.classes[0].left_out_counts))
    for a in one.classes:
        for b in two.classes:
            same_item = (a.sums[rows_one] * b.sums[rows_two]).sum(1)
            same_item_pairs = a.counts[rows_one] * b.counts[rows_two]
            total = np.einsum("gd,gd->g", a.left_out_sums, b.left_out_sums)
            total -= groups.leave_out_sums(same_item, shared)
            n_pairs = a.left_out_counts * b.left_out_counts
            n_pairs = np.round(n_pairs - groups.leave_out_sums(same_item_pairs, shared))
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = total / n_pairs
            products += a.sign * b.sign * np.where(np.isfinite(mean), mean, np.nan)
    return products


def noise_free_cosines(directions: Sequence[Direction], groups: ItemGroups) -> CosineMatrix:
    """Cosines between the directions that k mean differences estimate."""
    k = len(directions)
    products = np.empty((k, k, int(groups.groups.max()) + 2))
    for a in range(k):
        for b in range(a, k):
            products[a, b] = products[b, a] = inner_product(directions[a], directions[b], groups)
    squares = [nonzero_squared_norm(products[a, a], directions[a]) for a in range(k)]
    norms = np.sqrt(np.reshape(squares, (k, -1)))
    cosines = products / norms[:, None] / norms[None]
    influences = [
        direction.influences / norm for direction, norm in zip(directions, norms[:, 0], strict=True)
    ]
    errors = np.zeros((k, k))
    for a in range(k):
        for b in range(a + 1, k):
            items = directions[a].items, directions[b].items
            error = second_order_error(influences[a], influences[b], items, cosines[a, b, 0])
            errors[a, b] = errors[b, a] = error
    return CosineMatrix(cosines, errors)


def nonzero_squared_norm(squares: Floats, direction: Direction) -> Floats:
    """Squared norms (groups + 1,) of a direction, or NaN where it may be only noise: where the
    interval of its squared norm contains 0."""
    low = jackknife_interval(squares, len(direction.items)).low
    return squares if low > 0 and squares.min() > 0 else np.full_like(squares, np.nan)


def second_order_error(
    one: Floats, two: Floats, items: tuple[Indices, Indices], cosine: float
) -> float:
    """The standard error that a cosine retains where its first-order influences vanish.

    Where two directions nearly coincide, leaving out an item changes nothing to first order, and
    the jackknife may report no error. This is the second-order term, from products of the items'
    influences (items, d_model) on unit vectors: for a sum over independent pairs with kernel k,
    2 sum(k^2).
    """
    union = np.union1d(*items)
    aligned = np.zeros((2, len(union), one.shape[1]))
    for n, (influences, numbers) in enumerate(zip((one, two), items, strict=True)):
        aligned[n, np.searchsorted(union, numbers)] = influences
    across = aligned[0] @ aligned[1].T
    within_one, within_two = (side @ side.T for side in aligned)
    kernel = (across + across.T) / 2 - cosine / 2 * (within_one + within_two)
    return float(np.sqrt(2 * (kernel**2).sum()))


def jackknife_interval(values: Floats, n_items: int, second_order_error: float = 0.0) -> Estimate:
    """95% intervals of statistics (..., groups + 1).

    Student's t with one degree of freedom less than there are items, or groups of them. The
    jackknife counts the second-order variance twice (Efron and Stein 1981); here it counts once,
    and at least once.
    """
    value, without = values[..., 0], values[..., 1:]
    n = without.shape[-1]
    deviations = ((without - without.mean(-1, keepdims=True)) ** 2).sum(-1)
    variance = np.maximum((n - 1) / n * deviations - second_order_error**2, second_order_error**2)
    half_width = t_quantile(max(min(n_items, n) - 1, 1)) * np.sqrt(variance)
    return Estimate(value, value - half_width, value + half_width)


def group_items(families: Mapping[str, str], seed: int = 0) -> ItemGroups:
    """The items of a study (item -> family) in groups, those of every family spread evenly."""
    rng = np.random.default_rng(seed)
    numbers = {item: n for n, item in enumerate(families)}
    names = np.array(list(families.values()))
    groups = np.zeros(len(names), dtype=np.intp)
    sizes = [int((names == family).sum()) for family in set(families.values())]
    n_groups = min(MAX_GROUPS, max(sizes))
    for family in sorted(set(families.values())):
        members = rng.permutation(np.flatnonzero(names == family))
        groups[members] = np.arange(len(members)) % n_groups
    return ItemGroups(numbers, groups)
