"""Prompts that begin alike: what they share is run once.

The same persona before seventeen questions, a question in both option orders, a system prompt: in
lexicographic order of tokens the prompts that share most are neighbours, and what they share is a
tree (of prefixes). Batches keep such prompts together, and are else alike in length.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]

LEAST_SHARED = 16
"""Tokens that have to be saved before a beginning is run by itself."""


@dataclass(frozen=True)
class Beginning:
    """What several prompts begin with."""

    tokens: Tokens
    """All of it, from the first token."""
    above: int | None
    """The (shorter) beginning that this one continues, by its place; None where it is the first."""
    depth: int
    """How many beginnings it continues."""


@dataclass(frozen=True)
class Tree:
    """The beginnings of a batch of prompts, those that continue none first."""

    beginnings: list[Beginning]
    above: list[int | None]
    """Of each prompt, the longest of `beginnings` that it continues."""

    def new(self, prompts: Sequence[Tokens]) -> list[int]:
        """How many tokens of each prompt are to be run: the last one at least, for its state."""
        known = [0 if at is None else len(self.beginnings[at].tokens) for at in self.above]
        return [max(1, len(p) - before) for p, before in zip(prompts, known, strict=True)]


def lexicographic(prompts: Sequence[Tokens]) -> list[int]:
    """Places of `prompts` in the order of their tokens; equal ones stay in their order."""
    keys = [prompt.astype(">u4").tobytes() for prompt in prompts]
    return sorted(range(len(prompts)), key=lambda n: (keys[n], n))


def shared(one: Tokens, two: Tokens) -> int:
    """How many tokens two prompts begin with alike."""
    most = min(len(one), len(two))
    differs = one[:most] != two[:most]
    return int(differs.argmax()) if differs.any() else most


def batches(prompts: Sequence[Tokens], budget: int) -> list[list[int]]:
    """All places of `prompts`, in batches of at most `budget` tokens, padding included.

    Prompts that begin alike stay together as far as they fit, and families of these are alike in
    length, the longest first (memory runs out early, if). A prompt longer than `budget` is a batch
    of its own.
    """
    longest = {
        tuple(family): max(len(prompts[n]) for n in family) for family in _families(prompts, budget)
    }
    found: list[list[int]] = []
    widest = 0
    for family in sorted(longest, key=lambda family: (-longest[family], family)):
        widest = max(widest, longest[family]) if found else longest[family]
        if found and (len(found[-1]) + len(family)) * widest <= budget:
            found[-1] += family
        else:
            found.append([*family])
            widest = longest[family]
    return [_by_what_is_new(prompts, batch) for batch in found]


def _by_what_is_new(prompts: Sequence[Tokens], batch: list[int]) -> list[int]:
    """A batch in the order in which it is run: then what is run at once lies side by side."""
    part = [prompts[n] for n in batch]
    new = tree(part).new(part)
    return [batch[n] for n in sorted(range(len(batch)), key=lambda n: (-new[n], n))]


def _families(prompts: Sequence[Tokens], budget: int) -> list[list[int]]:
    """Prompts that share a beginning worth it and fit one batch, as large as possible."""
    order = lexicographic(prompts)
    alike = _alike(prompts, order)
    found, open_ranges = [], [(0, len(order))]
    while open_ranges:
        start, end = open_ranges.pop()
        family = order[start:end]
        least = int(alike[start + 1 : end].min(initial=len(prompts[family[0]])))
        fits = len(family) * max(len(prompts[n]) for n in family) <= budget
        if len(family) == 1 or (fits and least >= LEAST_SHARED):
            found.append(family)
        else:
            open_ranges += _parts(alike, start, end, least)
    return found


def _alike(prompts: Sequence[Tokens], order: Sequence[int]) -> NDArray[np.int64]:
    """At each place of `order`, what that prompt shares with the one before it."""
    pairs = itertools.pairwise(order)
    return np.array([0] + [shared(prompts[a], prompts[b]) for a, b in pairs], dtype=np.int64)


def _parts(alike: NDArray[np.int64], start: int, end: int, least: int) -> list[tuple[int, int]]:
    """A range of neighbours, cut wherever two share no more than `least`."""
    cuts = start + 1 + np.flatnonzero(alike[start + 1 : end] == least)
    edges = [start, *cuts.tolist(), end]
    return list(itertools.pairwise(edges))


def tree(prompts: Sequence[Tokens]) -> Tree:
    """The beginnings that are worth running once, and which of them each prompt continues."""
    order = lexicographic(prompts)
    alike = _alike(prompts, order)
    beginnings: list[Beginning] = []
    above: list[int | None] = [None] * len(prompts)
    # A range of neighbours, the beginning they all continue, and its length.
    level: list[tuple[int, int, int | None]] = [(0, len(order), None)]
    while level:
        deeper = []
        for start, end, parent in level:
            if end - start == 1:
                above[order[start]] = parent
                continue
            least = int(alike[start + 1 : end].min())
            known = len(beginnings[parent].tokens) if parent is not None else 0
            if (least - known) * (end - start - 1) >= LEAST_SHARED:
                depth = beginnings[parent].depth + 1 if parent is not None else 0
                tokens = prompts[order[start]][:least]
                beginnings.append(Beginning(tokens, parent, depth))
                parent = len(beginnings) - 1
            deeper += [(*part, parent) for part in _parts(alike, start, end, least)]
        level = deeper
    return _by_depth(beginnings, above)


def _by_depth(beginnings: list[Beginning], above: list[int | None]) -> Tree:
    """The same tree, with every beginning after those it continues."""
    order = sorted(range(len(beginnings)), key=lambda n: (beginnings[n].depth, n))
    place = {old: new for new, old in enumerate(order)}

    def moved(old: int | None) -> int | None:
        return None if old is None else place[old]

    return Tree(
        [
            Beginning(each.tokens, moved(each.above), each.depth)
            for each in (beginnings[old] for old in order)
        ],
        [moved(old) for old in above],
    )
