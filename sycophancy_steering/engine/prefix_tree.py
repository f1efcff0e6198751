"""Prompts that begin alike: what they share is run once.

The same persona before seventeen questions, a question in both option orders, a system prompt: in
lexicographic order of tokens the prompts that share most are neighbours, and what they share is a
tree (of prefixes). Batches keep such prompts together, and are else alike in length.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]

LEAST_SHARED = 16
"""Tokens that have to be saved before a beginning is run by itself."""


@dataclass(frozen=True)
class Part:
    """A prompt, or what several begin with."""

    tokens: Tokens
    """All of it, from the first token."""
    above: int | None
    """The longest (shorter) beginning that it continues, by its place; None where there is none."""
    new: int
    """How many of its last tokens are to be run: one at least, for its state."""
    depth: int
    """How many beginnings it continues."""


@dataclass(frozen=True)
class Tree:
    """What of a batch of prompts is to be run."""

    beginnings: list[Part]
    """Those that continue none first."""
    prompts: list[Part]
    """In their order."""


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
    parts = tree([prompts[n] for n in batch]).prompts
    return [batch[n] for n in sorted(range(len(batch)), key=lambda n: (-parts[n].new, n))]


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


def no_tree(prompts: Sequence[Tokens]) -> Tree:
    """Every prompt by itself, from its first token on."""
    return Tree([], [Part(prompt, None, len(prompt), 0) for prompt in prompts])


def tree(prompts: Sequence[Tokens]) -> Tree:
    """The beginnings that are worth running once, and which of them each prompt continues."""
    order = lexicographic(prompts)
    alike = _alike(prompts, order)
    beginnings: list[Part] = []
    found = no_tree(prompts).prompts

    def after(tokens: Tokens, above: int | None) -> Part:
        if above is None:
            return Part(tokens, None, len(tokens), 0)
        known = beginnings[above]
        return Part(tokens, above, max(1, len(tokens) - len(known.tokens)), known.depth + 1)

    # Ranges of neighbours, and the beginning that all in a range continue.
    level: list[tuple[int, int, int | None]] = [(0, len(order), None)]
    while level:
        deeper = []
        for start, end, above in level:
            if end - start == 1:
                found[order[start]] = after(prompts[order[start]], above)
                continue
            least = int(alike[start + 1 : end].min())
            known = len(beginnings[above].tokens) if above is not None else 0
            if (least - known) * (end - start - 1) >= LEAST_SHARED:
                beginnings.append(after(prompts[order[start]][:least], above))
                above = len(beginnings) - 1
            deeper += [(*part, above) for part in _parts(alike, start, end, least)]
        level = deeper
    return _by_depth(beginnings, found)


def _by_depth(beginnings: list[Part], prompts: list[Part]) -> Tree:
    """The same tree, with every beginning after those that continue fewer."""
    order = sorted(range(len(beginnings)), key=lambda n: (beginnings[n].depth, n))
    place = {old: new for new, old in enumerate(order)}

    def moved(part: Part) -> Part:
        return part if part.above is None else replace(part, above=place[part.above])

    return Tree([moved(beginnings[old]) for old in order], [moved(each) for each in prompts])
