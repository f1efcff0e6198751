"""How consistent mean differences are with one another, and what makes them differ.

A variance here is half the mean squared distance of two unit vectors that differ in one factor
alone, so it is 1 minus their cosine. Factors that a study chooses (prompt set, position, letter,
template) are compared without sampling noise; sampled factors (items, questions about them, seed)
are that noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cross_item_products import (
    CosineMatrix,
    Direction,
    ItemGroups,
    inner_product,
    jackknife_interval,
    mean_difference_by_item,
    nonzero_squared_norm,
)
from sycophancy_steering.config.variants import Position, Variant
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.schemas.analysis import AGREEMENT, RELIABILITY, VARIANCE
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.vectors.contrast import MethodNotApplicable
from sycophancy_steering.vectors.labelled_activations import LabelledActivations, Rows

POSITIONS: tuple[Position, ...] = ("prompt", "answer", "continuation", "continuation_mean")
"""Where vectors are extracted."""
N_RESAMPLES = 200
"""How often two halves of a set's items are drawn."""
SAMPLED_FACTORS = ("item", "question", "seed")


@dataclass(frozen=True)
class MeanDifference:
    """The mean difference of one set at one position, of all its questions or of a subset."""

    prompt_set: str
    position: Position
    subset: str
    """"" for the whole set; else `letter A` or `source NAME`."""
    family: str
    """"" where a set has several."""
    direction: Direction


def mean_differences(
    extractions: Mapping[str, LabelledActivations], layer: int, groups: ItemGroups
) -> tuple[list[MeanDifference], dict[str, str]]:
    """Every set's vector at every position, and its subsets by letter and by source at `answer`.

    Also why some cannot be made.
    """
    vectors, left_out = [], {}
    for name, answers in extractions.items():
        families = set(answers.families)
        family = families.pop() if len(families) == 1 else ""
        for position in POSITIONS:
            try:
                direction = mean_difference_by_item(answers, position, layer, groups)
            except MethodNotApplicable as reason:
                left_out[f"{name}, {position}"] = str(reason)
            else:
                vectors.append(MeanDifference(name, position, "", family, direction))
        for subset, of_family, rows in contrast_subsets(answers):
            direction = mean_difference_by_item(answers, "answer", layer, groups, (rows, rows))
            vectors.append(MeanDifference(name, "answer", subset, of_family, direction))
    return vectors, left_out


def contrast_subsets(answers: LabelledActivations) -> Iterator[tuple[str, str, Rows]]:
    """Name, family and rows of the questions with the same letter of the sycophantic answer, or of
    the same source where a family has several. Only those about two items or more."""
    subsets = [
        (f"letter {letter}", "", answers.matching == letter)
        for letter in np.unique(answers.matching)
        if letter
    ]
    for family in np.unique(answers.families):
        sources = np.unique(answers.sources[answers.families == family])
        if len(sources) > 1:
            for source in sources:
                mask = (answers.families == family) & (answers.sources == source)
                subsets.append((f"source {source}", str(family), mask))
    for name, family, mask in subsets:
        if len(np.unique(answers.items[mask])) > 1:
            yield name, family, np.flatnonzero(mask)


def agreement_table(
    vectors: Sequence[MeanDifference], cosines: CosineMatrix, n_groups: int
) -> pl.DataFrame:
    """A row a pair of whole sets' vectors: their cosine, and the same without sampling noise.

    `cosines` are those of all `vectors`; `n_groups` is the length of `ItemGroups.groups`.
    """
    rows = []
    for a, one in enumerate(vectors):
        for b, two in enumerate(vectors):
            if b <= a or one.subset or two.subset:
                continue
            estimate = jackknife_interval(
                cosines.values[a, b], n_groups, float(cosines.second_order_errors[a, b])
            )
            rows.append(
                (
                    *(one.prompt_set, one.position, one.family),
                    *(two.prompt_set, two.position, two.family),
                    float(cosine(one.direction.vectors[0], two.direction.vectors[0])),
                    *map(float, (estimate.value, estimate.low, estimate.high)),
                )
            )
    schema = {name: kind for name, kind in AGREEMENT.columns.items() if name != "layer"}
    return pl.DataFrame(rows, schema=schema, orient="row")


def variance_table(
    vectors: Sequence[MeanDifference], cosines: CosineMatrix, groups: ItemGroups
) -> pl.DataFrame:
    """A row a component of variance, and a set unless the component lies between sets.

    `prompt set`, `position` and `both`: between whole sets' vectors that differ in this. `letter`
    and `template`: between subsets of one set's contrast pairs. `item`, `question` and `seed`: see
    `sampling_variances`. `n_compared` counts pairs of vectors, or vectors; those that may be only
    noise are left out, and where all are, the variance is NaN.
    """
    variances: dict[tuple[str | None, str], list[tuple[Floats, float]]] = {}
    for a, one in enumerate(vectors):
        if not one.subset and one.position == "answer":
            sampled = sampling_variances(one.direction, groups)
            for component, values in zip(SAMPLED_FACTORS, sampled, strict=True):
                variances.setdefault((one.prompt_set, component), []).append((values, 0.0))
        for b in range(a + 1, len(vectors)):
            if component := differing_factor(one, vectors[b]):
                same_set = one.prompt_set == vectors[b].prompt_set
                key = one.prompt_set if same_set else None, component
                variances.setdefault(key, []).append(
                    (1 - cosines.values[a, b], cosines.second_order_errors[a, b])
                )
    rows = []
    for (prompt_set, component), pairs in variances.items():
        of_set = [one for one in vectors if prompt_set in (None, one.prompt_set)]
        n_items = len({n for one in of_set for n in one.direction.items})
        known = [(values, error) for values, error in pairs if np.isfinite(values).all()]
        if not known:
            rows.append((prompt_set, component, 0, n_items, np.nan, np.nan, np.nan))
            continue
        values, errors = zip(*known, strict=True)
        # Errors of pairs that share vectors correlate; their mean is the largest that is possible.
        mean = jackknife_interval(
            np.mean(values, axis=0), len(groups.groups), float(np.mean(errors))
        )
        ends = map(float, (mean.value, mean.low, mean.high))
        rows.append((prompt_set, component, len(known), n_items, *ends))
    schema = {name: kind for name, kind in VARIANCE.columns.items() if name != "layer"}
    return pl.DataFrame(rows, schema=schema, orient="row")


def differing_factor(one: MeanDifference, two: MeanDifference) -> str:
    """The one factor in which two vectors differ, or "" where they are not to be compared."""
    same_set, same_position = one.prompt_set == two.prompt_set, one.position == two.position
    if not (one.subset or two.subset):
        return "position" if same_set else "prompt set" if same_position else "both"
    if same_set and one.subset and two.subset:
        kinds = one.subset.split()[0], two.subset.split()[0]
        if kinds == ("letter", "letter"):
            return "letter"
        if kinds == ("source", "source") and one.family == two.family:
            return "template"
    return ""


def sampling_variances(direction: Direction, groups: ItemGroups) -> Floats:
    """(3, groups + 1): how far a vector of contrast pairs would turn with other items; with other
    questions about the same items; and with another half of the questions (`SAMPLED_FACTORS`).

    A vector's squared norm exceeds its unbiased estimate by all of its noise; differences between
    questions about one item estimate their part of it. All are unbiased, so they may pass 0 by
    chance, or where a set is balanced within items; NaN where the vector may be only noise.
    """
    (pairs,) = direction.classes
    unbiased = nonzero_squared_norm(inner_product(direction, direction, groups), direction)
    # The norm of the vector is itself an estimate.
    squared = unbiased * (direction.lengths / direction.lengths[0]) ** 2
    n, total = pairs.counts, pairs.left_out_counts
    within = pairs.squared_norms - (pairs.sums**2).sum(1) / n
    corrected = within * np.where(n > 1, n / np.maximum(n - 1, 1), 0)
    question = groups.leave_out_sums(corrected, direction.items) / total**2 / squared
    noise = ((direction.vectors**2).sum(1) - unbiased) / squared
    between = (pairs.left_out_sums**2).sum(1) / total
    with_letters = groups.leave_out_sums(pairs.squared_norms_with_letters, direction.items)
    seed = (with_letters - between) / (total - 1)
    return np.stack([noise - question, question, seed / total / squared])


def reliability_table(
    answers: LabelledActivations, layer: int, n_pairs: Sequence[int]
) -> pl.DataFrame:
    """Mean cosine of two vectors of so many pairs each, about different items, and the central 95%
    of `N_RESAMPLES` draws. Numbers of pairs that exceed half of the set have no row, nor has a set
    without contrast pairs."""
    names_left = ("layer", "prompt_set")
    schema = {name: kind for name, kind in RELIABILITY.columns.items() if name not in names_left}
    if not answers.has_options:
        return pl.DataFrame(schema=schema)
    contrast = answers.contrast(Variant("mean_difference", "answer"), layer)
    names, item_of = np.unique(contrast.sycophantic.items, return_inverse=True)
    rng = np.random.default_rng(0)
    rows = []
    for n in n_pairs:
        halves = np.zeros((2, N_RESAMPLES, len(item_of)), dtype=bool)
        for k in range(N_RESAMPLES):
            first = np.isin(item_of, rng.permutation(len(names))[: len(names) // 2])
            for side, half in enumerate((first, ~first)):
                halves[side, k, rng.permutation(np.flatnonzero(half))[:n]] = True
        if (halves.sum(-1) < n).any():
            continue
        one, two = (contrast.differences.weighted_sums(side) for side in halves)
        cosines = cosine(one, two)
        low, high = central_interval(cosines)
        ends = float(cosines.mean()), float(low), float(high)
        rows.append((len(item_of), len(names), n, N_RESAMPLES, *ends))
    return pl.DataFrame(rows, schema=schema, orient="row")
