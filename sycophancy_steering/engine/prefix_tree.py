"""Finds the prefixes that prompts share, so that each is run once.

The same persona before seventeen questions, a question with its options in both orders, a system
prompt: sorted by their tokens, prompts that share most are neighbours, and their shared prefixes
form a tree. Batches keep such prompts together, and otherwise prompts of similar length.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.engine.prompt import TokenIds

MIN_SHARED_TOKENS = 16
"""Tokens that a shared prefix has to save to be run by itself."""


@dataclass(frozen=True)
class PrefixNode:
    """A prompt, or a prefix that several prompts share."""

    tokens: TokenIds
    """All of them, from the first."""
    parent: int | None
    """Index of the longest shorter prefix that it continues; None without one."""
    n_new: int
    """How many of its last tokens are run: at least one, for its hidden state."""
    depth: int
    """How many prefixes it continues."""


@dataclass(frozen=True)
class PrefixTree:
    """The shared prefixes of a batch of prompts, and the prompts."""

    prefixes: list[PrefixNode]
    """Parents before children."""
    prompts: list[PrefixNode]
    """In the order of the batch."""


def lexicographic_order(prompts: Sequence[TokenIds]) -> list[int]:
    """Indices that sort `prompts` by their tokens; equal ones keep their order."""
    keys = [prompt.astype(">u4").tobytes() for prompt in prompts]
    return sorted(range(len(prompts)), key=lambda n: (keys[n], n))


def common_prefix_length(one: TokenIds, two: TokenIds) -> int:
    """How many tokens two prompts share from the first on."""
    shorter = min(len(one), len(two))
    differs = one[:shorter] != two[:shorter]
    return int(differs.argmax()) if differs.any() else shorter


def plan_batches(prompts: Sequence[TokenIds], budget: int) -> list[list[int]]:
    """Indices of all `prompts`, in batches of at most `budget` tokens, padding included.

    Prompts that share a prefix stay together where they fit, and such groups are batched by length,
    the longest first, so that memory runs out early if at all; each goes to the first batch that
    has space. A prompt longer than `budget` is a batch of its own.
    """
    longest = {
        tuple(group): max(len(prompts[n]) for n in group)
        for group in _groups_by_prefix(prompts, budget)
    }
    batches: list[list[int]] = []
    widths: list[int] = []
    for group in sorted(longest, key=lambda group: (-longest[group], group)):
        for batch, width in zip(batches, widths, strict=True):
            if (len(batch) + len(group)) * width <= budget:
                batch += group
                break
        else:
            batches.append([*group])
            widths.append(longest[group])
    return [_by_new_tokens(prompts, batch) for batch in batches]


def _by_new_tokens(prompts: Sequence[TokenIds], batch: list[int]) -> list[int]:
    """A batch in the order in which it is run, so that rows of one pass are adjacent."""
    nodes = build_prefix_tree([prompts[n] for n in batch]).prompts
    return [batch[n] for n in sorted(range(len(batch)), key=lambda n: (-nodes[n].n_new, n))]


def _groups_by_prefix(prompts: Sequence[TokenIds], budget: int) -> list[list[int]]:
    """The largest groups of prompts that share a prefix worth running once and fit one batch."""
    order = lexicographic_order(prompts)
    common = _common_with_previous(prompts, order)
    groups, pending = [], [(0, len(order))]
    while pending:
        start, end = pending.pop()
        group = order[start:end]
        shortest = int(common[start + 1 : end].min(initial=len(prompts[group[0]])))
        fits = len(group) * max(len(prompts[n]) for n in group) <= budget
        if len(group) == 1 or (fits and shortest >= MIN_SHARED_TOKENS):
            groups.append(group)
        else:
            pending += _split(common, start, end, shortest)
    return groups


def _common_with_previous(prompts: Sequence[TokenIds], order: Sequence[int]) -> NDArray[np.int64]:
    """For each prompt in `order`, how many tokens it shares with the one before it."""
    pairs = itertools.pairwise(order)
    lengths = [common_prefix_length(prompts[a], prompts[b]) for a, b in pairs]
    return np.array([0, *lengths], dtype=np.int64)


def _split(common: NDArray[np.int64], start: int, end: int, shortest: int) -> list[tuple[int, int]]:
    """A range of neighbours, split wherever two share no more than `shortest` tokens."""
    cuts = start + 1 + np.flatnonzero(common[start + 1 : end] == shortest)
    return list(itertools.pairwise([start, *cuts.tolist(), end]))


def without_sharing(prompts: Sequence[TokenIds]) -> PrefixTree:
    """A tree without shared prefixes: every prompt is run from its first token on."""
    return PrefixTree([], [PrefixNode(prompt, None, len(prompt), 0) for prompt in prompts])


def build_prefix_tree(prompts: Sequence[TokenIds]) -> PrefixTree:
    """The prefixes worth running once, and the one that each prompt continues."""
    order = lexicographic_order(prompts)
    common = _common_with_previous(prompts, order)
    prefixes: list[PrefixNode] = []
    nodes = without_sharing(prompts).prompts

    def child_of(parent: int | None, tokens: TokenIds) -> PrefixNode:
        if parent is None:
            return PrefixNode(tokens, None, len(tokens), 0)
        prefix = prefixes[parent]
        n_new = max(1, len(tokens) - len(prefix.tokens))
        return PrefixNode(tokens, parent, n_new, prefix.depth + 1)

    # Ranges of neighbours, each with the prefix that all prompts in it continue.
    level: list[tuple[int, int, int | None]] = [(0, len(order), None)]
    while level:
        next_level = []
        for start, end, parent in level:
            if end - start == 1:
                nodes[order[start]] = child_of(parent, prompts[order[start]])
                continue
            shortest = int(common[start + 1 : end].min())
            inherited = len(prefixes[parent].tokens) if parent is not None else 0
            if (shortest - inherited) * (end - start - 1) >= MIN_SHARED_TOKENS:
                prefixes.append(child_of(parent, prompts[order[start]][:shortest]))
                parent = len(prefixes) - 1
            next_level += [(*part, parent) for part in _split(common, start, end, shortest)]
        level = next_level
    return _parents_first(prefixes, nodes)


def _parents_first(prefixes: list[PrefixNode], prompts: list[PrefixNode]) -> PrefixTree:
    """The same tree with its prefixes sorted by depth."""
    order = sorted(range(len(prefixes)), key=lambda n: (prefixes[n].depth, n))
    new_index = {old: new for new, old in enumerate(order)}

    def renumbered(node: PrefixNode) -> PrefixNode:
        return node if node.parent is None else replace(node, parent=new_index[node.parent])

    return PrefixTree([renumbered(prefixes[n]) for n in order], [renumbered(n) for n in prompts])
