"""How consistent vectors are with one another, and what makes them differ.

A variance here is half the mean squared distance between two vectors of length one that differ in
one thing alone; so it is 1 minus their cosine. What differs by choice (prompt set, position,
letter, template) is compared without the noise of both; what differs by the draw (items, questions
about them, seed) is that noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cross_item_products import (
    Direction,
    Items,
    direction,
    inner,
    jackknifed,
    sure,
)
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import middle
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.vectors.contrast import Inapplicable
from sycophancy_steering.vectors.labelled_activations import Material, Rows
from sycophancy_steering.vectors.variants import Position, Recipe

POSITIONS: tuple[Position, ...] = ("prompt", "answer", "continuation", "continuation_mean")
"""Where vectors are made."""
HALVES = 200
"""Draws of two sets of pairs."""


@dataclass(frozen=True)
class Made:
    """The mean difference of one set, at one position, from all of it or a part."""

    prompt_set: str
    position: Position
    part: str
    """"" for the whole set; else `letter A` or `source NAME`."""
    family: str
    """"" where a set has several."""
    of: Direction


def directions(
    material: Mapping[str, Material], layer: int, study: Items
) -> tuple[list[Made], dict[str, str]]:
    """Every set's vector at every position, and its parts by letter and by source at `answer`.

    Also why some cannot be made.
    """
    found, left_out = [], {}
    for name, given in material.items():
        families = set(given.families)
        family = families.pop() if len(families) == 1 else ""
        for position in POSITIONS:
            try:
                whole = direction(given, position, layer, study)
            except Inapplicable as reason:
                left_out[f"{name}, {position}"] = str(reason)
            else:
                found.append(Made(name, position, "", family, whole))
        for part, of, rows in parts(given):
            made = direction(given, "answer", layer, study, (rows, rows))
            found.append(Made(name, "answer", part, of, made))
    return found, left_out


def parts(given: Material) -> Iterator[tuple[str, str, Rows]]:
    """Name, family and rows of what questions have in common: the letter of the sycophantic answer;
    the source, where a family has several. Only those about two items or more."""
    groups = [
        (f"letter {letter}", "", given.matching == letter)
        for letter in np.unique(given.matching)
        if letter
    ]
    for family in np.unique(given.families):
        sources = np.unique(given.sources[given.families == family])
        if len(sources) > 1:
            for source in sources:
                fit = (given.families == family) & (given.sources == source)
                groups.append((f"source {source}", str(family), fit))
    for name, family, fit in groups:
        if len(np.unique(given.items[fit])) > 1:
            yield name, family, np.flatnonzero(fit)


AGREEMENT = {"prompt_set": pl.String, "position": pl.String, "family": pl.String}
AGREEMENT |= {f"other_{name}": kind for name, kind in AGREEMENT.items()}
AGREEMENT |= dict.fromkeys(["cosine", "agreement", "low", "high"], pl.Float64)
VARIANCE = {"prompt_set": pl.String, "source": pl.String, "compared": pl.Int64}
VARIANCE |= {"items": pl.Int64}
VARIANCE |= dict.fromkeys(["variance", "low", "high"], pl.Float64)


def agreements(made: Sequence[Made], found: Floats, least: Floats, items: int) -> pl.DataFrame:
    """A row a pair of whole sets' vectors: their cosine, and the same without the noise of both.

    `found` (k, k, groups + 1) and `least` (k, k) are the `angles` of what is `made`.
    """
    rows = []
    for a, one in enumerate(made):
        for b, two in enumerate(made):
            if b <= a or one.part or two.part:
                continue
            free = jackknifed(found[a, b], items, least[a, b])
            rows.append(
                (
                    *(one.prompt_set, one.position, one.family),
                    *(two.prompt_set, two.position, two.family),
                    float(cosine(one.of.vectors[0], two.of.vectors[0])),
                    *(float(each) for each in (free.value, free.low, free.high)),
                )
            )
    return pl.DataFrame(rows, schema=AGREEMENT, orient="row")


def variances(made: Sequence[Made], found: Floats, least: Floats, study: Items) -> pl.DataFrame:
    """A row a source of variance, and a set but where it lies between sets.

    `prompt set`, `position` and `both`: between whole sets' vectors that differ in this. `letter`
    and `template`: between parts of one set's contrast pairs. `item`, `question` and `seed`: see
    `by_the_draw`. `compared` counts pairs of vectors, or vectors; those that are nothing but noise
    are left out, and where all are, there is no number.
    """
    apart: dict[tuple[str | None, str], list[tuple[Floats, float]]] = {}
    for a, one in enumerate(made):
        if not one.part and one.position == "answer":
            names = ("item", "question", "seed")
            for name, values in zip(names, by_the_draw(one.of, study), strict=True):
                apart.setdefault((one.prompt_set, name), []).append((values, 0.0))
        for b in range(a + 1, len(made)):
            if name := differing(one, made[b]):
                of = one.prompt_set if one.prompt_set == made[b].prompt_set else None
                apart.setdefault((of, name), []).append((1 - found[a, b], least[a, b]))
    rows = []
    for key, each in apart.items():
        items = len({n for one in made if key[0] in (None, one.prompt_set) for n in one.of.items})
        known = [(values, error) for values, error in each if np.isfinite(values).all()]
        if not known:
            rows.append((*key, 0, items, np.nan, np.nan, np.nan))
        else:
            values, errors = zip(*known, strict=True)
            # Errors of pairs that share vectors go together: their mean is the most there can be.
            mean = jackknifed(np.mean(values, axis=0), len(study.groups), float(np.mean(errors)))
            ends = (float(each) for each in (mean.value, mean.low, mean.high))
            rows.append((*key, len(known), items, *ends))
    return pl.DataFrame(rows, schema=VARIANCE, orient="row")


def differing(one: Made, two: Made) -> str:
    """The one thing in which two vectors differ, or "" where they are not to be compared."""
    same_set, same_position = one.prompt_set == two.prompt_set, one.position == two.position
    if not (one.part or two.part):
        return "position" if same_set else "prompt set" if same_position else "both"
    if same_set and one.part and two.part:
        kinds = one.part.split()[0], two.part.split()[0]
        if kinds == ("letter", "letter"):
            return "letter"
        if kinds == ("source", "source") and one.family == two.family:
            return "template"
    return ""


def by_the_draw(of: Direction, study: Items) -> Floats:
    """(3, groups + 1): what would change of a vector of contrast pairs if other items were drawn;
    other questions about the same items; and, by the seed, another half of the questions.

    A vector's squared length exceeds what is found between items by all of its noise; how questions
    about one item differ tells their part of it. All are unbiased, so they may pass 0 by chance, or
    where a set is balanced within items; NaN where the vector may be nothing but noise.
    """
    (kind,) = of.kinds
    unbiased = sure(inner(of, of, study), of)
    squared = unbiased * (of.lengths / of.lengths[0]) ** 2  # a length is not known for sure either
    n, number = kind.counts, kind.numbers
    within = kind.squares - (kind.sums**2).sum(1) / n
    question = study.without(within * np.where(n > 1, n / np.maximum(n - 1, 1), 0), of.items)
    question = question / number**2 / squared
    noise = ((of.vectors**2).sum(1) - unbiased) / squared
    whole = (kind.totals**2).sum(1) / number
    seed = (study.without(kind.squares_with_letters, of.items) - whole) / (number - 1)
    return np.stack([noise - question, question, seed / number / squared])


RELIABILITY = {"questions": pl.Int64, "items": pl.Int64, "pairs": pl.Int64, "draws": pl.Int64}
RELIABILITY |= dict.fromkeys(["cosine", "low", "high"], pl.Float64)


def reliabilities(given: Material, layer: int, pairs: Sequence[int]) -> pl.DataFrame:
    """Mean cosine of two vectors, each of so many pairs about other items, and the middle 95% of
    `HALVES` draws. A number of pairs that half of the set does not have has no row."""
    contrast = given.contrast(Recipe("mean_difference", "answer"), layer)
    names, of = np.unique(contrast.sycophantic.items, return_inverse=True)
    draw = np.random.default_rng(0)
    rows = []
    for n in pairs:
        halves = np.zeros((2, HALVES, len(of)), dtype=bool)
        for k in range(HALVES):
            first = np.isin(of, draw.permutation(len(names))[: len(names) // 2])
            for side, half in enumerate((first, ~first)):
                halves[side, k, draw.permutation(np.flatnonzero(half))[:n]] = True
        if (halves.sum(-1) < n).any():
            continue
        one, two = (contrast.differences.weighted(side) for side in halves)
        found = cosine(one, two)
        low, high = middle(found)
        ends = float(found.mean()), float(low), float(high)
        rows.append((len(of), len(names), n, HALVES, *ends))
    return pl.DataFrame(rows, schema=RELIABILITY, orient="row")
