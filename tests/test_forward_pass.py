"""Rows are cut into the passes that take least time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from sycophancy_steering.engine import forward_pass
from sycophancy_steering.engine.forward_pass import passes_by_length


def cost(passes: Sequence[Sequence[int]], lengths: list[int], of_pass: int) -> int:
    """Padded tokens of all passes, and the cost of each."""
    return sum(len(each) * max(lengths[n] for n in each) + of_pass for each in passes)


@pytest.mark.parametrize("of_pass", [0, 3, 20])
def test_no_other_cut_takes_less_time(of_pass, monkeypatch):
    """Compared with every way to cut ten sorted rows."""
    monkeypatch.setitem(forward_pass.PASS_TOKENS, "cpu", 24)
    monkeypatch.setitem(forward_pass.PASS_COST, "cpu", of_pass)
    draw = np.random.default_rng(0)
    for _ in range(20):
        lengths = draw.integers(1, 12, 10).tolist()
        order = sorted(range(10), key=lambda n: (-lengths[n], n))
        best = min(
            cost(parts, lengths, of_pass)
            for cuts in itertools.product([False, True], repeat=9)
            for parts in [[part.tolist() for part in np.split(order, 1 + np.flatnonzero(cuts))]]
            if all(len(p) * max(lengths[n] for n in p) <= 24 for p in parts)
        )
        passes = passes_by_length(lengths, "cpu")
        assert sorted(n for each in passes for n in each) == [*range(10)]
        assert cost(passes, lengths, of_pass) == best


def test_a_row_longer_than_a_pass_is_one_by_itself(monkeypatch):
    monkeypatch.setitem(forward_pass.PASS_TOKENS, "cpu", 24)
    assert passes_by_length([5, 99, 98, 5], "cpu") == [[1], [2], [0, 3]]
    assert passes_by_length([], "cpu") == []
