"""Prefixes that prompts share, and batches that keep such prompts together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sycophancy_steering.engine.prefix_tree import (
    MIN_SHARED_TOKENS,
    build_prefix_tree,
    common_prefix_length,
    lexicographic_order,
    plan_batches,
)


def personas(people: int, questions: int, seed: int = 0) -> list[np.ndarray]:
    """Every question after every persona, in a random order."""
    draw = np.random.default_rng(seed)
    who = [draw.integers(0, 99, draw.integers(20, 60)) for _ in range(people)]
    asked = [draw.integers(0, 99, draw.integers(10, 50)) for _ in range(questions)]
    every = [np.concatenate([p, q]).astype(np.int32) for p in who for q in asked]
    return [every[n] for n in draw.permutation(len(every))]


def test_neighbours_share_most():
    prompts = personas(5, 4)
    order = lexicographic_order(prompts)
    assert sorted(order) == list(range(20))
    assert [prompts[n].tolist() for n in order] == sorted(p.tolist() for p in prompts)
    for one, two in itertools.pairwise(order):
        slow = 0
        while prompts[one][: slow + 1].tolist() == prompts[two][: slow + 1].tolist():
            slow += 1
        assert common_prefix_length(prompts[one], prompts[two]) == slow


@pytest.mark.parametrize("budget", [1, 300, 1000, 100_000])
def test_batches_hold_every_prompt_once_within_the_budget(budget):
    prompts = personas(12, 17)
    found = plan_batches(prompts, budget)
    assert sorted(n for batch in found for n in batch) == list(range(len(prompts)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(len(prompts[n]) for n in batch) <= budget


def test_a_persona_is_in_one_batch_if_it_fits():
    prompts = personas(12, 17)
    first = [tuple(prompt[:20].tolist()) for prompt in prompts]
    found = plan_batches(prompts, 17 * 110)
    where = {who: {n for n, b in enumerate(found) for k in b if first[k] == who} for who in first}
    assert all(len(each) == 1 for each in where.values())


def test_prompts_that_share_nothing_are_alike_in_length():
    draw = np.random.default_rng(0)
    prompts = [draw.integers(0, 9999, n).astype(np.int32) for n in draw.integers(5, 90, 60)]
    found = plan_batches(prompts, 400)
    lengths = [len(prompts[n]) for batch in found for n in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_a_tree_saves_what_is_shared_and_every_prompt_continues_its_beginning():
    prompts = personas(4, 6)
    # Both orders of the options: a longer beginning in common than the persona.
    prompts += [np.append(prompt, [7, 7, 7]).astype(np.int32) for prompt in prompts]
    found = build_prefix_tree(prompts)
    run = sum(each.n_new for each in found.prefixes + found.prompts)
    for prompt, part in zip(prompts, found.prompts, strict=True):
        assert part.parent is not None and part.tokens is prompt
        beginning = found.prefixes[part.parent].tokens
        assert prompt[: len(beginning)].tolist() == beginning.tolist()
        assert part.n_new == max(1, len(prompt) - len(beginning))
    for n, each in enumerate(found.prefixes):
        if each.parent is not None:
            parent = found.prefixes[each.parent]
            assert each.parent < n and each.depth == parent.depth + 1
            assert each.tokens[: len(parent.tokens)].tolist() == parent.tokens.tolist()
            assert each.n_new == len(each.tokens) - len(parent.tokens)
    different = {tuple(p[:k].tolist()) for p in prompts for k in range(1, len(p) + 1)}
    # Nothing is run twice but what is too short to be worth it, and a last token.
    assert len(different) <= run <= len(different) + MIN_SHARED_TOKENS * len(found.prefixes) + 24
    assert {each.depth for each in found.prefixes} == {0, 1}


def test_a_beginning_that_saves_little_is_run_again():
    short = [np.array([1, 2, 3, n], dtype=np.int32) for n in range(4)]
    assert build_prefix_tree(short).prefixes == []
    assert [part.parent for part in build_prefix_tree([np.arange(9, dtype=np.int32)]).prompts] == [
        None
    ]


def test_a_short_group_fills_the_space_that_an_earlier_batch_has():
    draw = np.random.default_rng(1)
    lengths = [50, 50, 50, 50, 50, 50, 40]
    prompts = [draw.integers(0, 9999, n).astype(np.int32) for n in lengths]
    for n in (0, 1, 2, 3):  # four that share a prefix, and two that share another
        prompts[n][:20] = 7
    for n in (4, 5):
        prompts[n][:20] = 8
    found = plan_batches(prompts, 250)
    assert [sorted(batch) for batch in found] == [[0, 1, 2, 3, 6], [4, 5]]
