"""Keys and values of prompts that have been run, ready for what follows.

All prompts of a batch end at the same column, whatever their lengths, and after it there is room
for what follows, which is written in place: nothing is copied, grown or cropped from pass to
pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from sycophancy_steering.engine.residual_stream import Place

Storage = dict[tuple[str, int, int], Tensor]
"""Memory that one batch after another writes over: getting it anew takes a tenth of the time."""


@dataclass(frozen=True)
class Beginnings:
    """Where the columns that come before a pass are taken from."""

    of: KeyValues
    columns: Tensor
    """(rows, columns): places in `of`, counted through its rows; any where there is padding."""

    @staticmethod
    def places(of: KeyValues, row: int, length: int, count: int) -> Tensor:
        """Those of the first `count` tokens of a beginning of `length` tokens in a row of `of`."""
        start = row * (of.columns + of.room) + of.columns - length
        return torch.arange(start, start + count)


@dataclass(frozen=True)
class Look:
    """Where in the columns of a batch a pass is."""

    rows: Place
    first: int
    """The first column that it sees."""
    end: int
    """The first that it writes."""
    sizes: list[int] | None = None
    """How many tokens each row has, where they are padded on the right: they are held with the
    padding on the left, so that they end at the same column."""
    beginnings: Beginnings | None = None
    """Where the columns before it are taken from, if they are not there already."""


class KeyValues(Cache):
    """What every block keeps of a batch of prompts: (rows, columns, heads, width of a head).

    With a `storage`, it is good until the next batch of the same `name` comes.
    """

    def __init__(
        self, rows: int, columns: int, room: int, name: str = "", storage: Storage | None = None
    ):
        super().__init__(layers=[])
        self.columns = columns
        """At which all prompts end."""
        self.room = room
        self._rows = rows
        self._name = name
        self._storage = {} if storage is None else storage
        self._held: dict[int, tuple[Tensor, Tensor]] = {}
        self._look = Look(slice(None), 0, columns)

    def look(self, at: Look) -> None:
        """Where the next pass is."""
        self._look = at

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Takes what a block makes of new tokens (rows, heads, tokens, width); gives all of it."""
        at = self._look
        if layer_idx not in self._held:
            self._held[layer_idx] = (
                self._memory(layer_idx, 0, key_states),
                self._memory(layer_idx, 1, value_states),
            )
        rows = at.rows.to(key_states.device) if isinstance(at.rows, Tensor) else at.rows
        found = []
        for which, states in enumerate((key_states, value_states)):
            held, new = self._held[layer_idx][which], states.transpose(1, 2)
            stop = at.end + new.shape[1]
            if at.sizes:
                _write_right_aligned(held, at, new, stop)
            else:
                held[rows, at.end : stop] = new
            if at.beginnings:
                before = at.beginnings.of._held[layer_idx][which].flatten(0, 1)
                held[rows, at.first : at.end] = before[at.beginnings.columns.to(before.device)]
            # Where nothing comes before, what was given is all there is.
            seen = states if at.first == at.end else held[rows, at.first : stop].transpose(1, 2)
            found.append(seen)
        return found[0], found[1]

    def _memory(self, layer: int, which: int, like: Tensor) -> Tensor:
        """Zeros, or finite rubbish of the last batch, never NaN: a masked NaN is still a NaN."""
        shape = self._rows, self.columns + self.room, like.shape[1], like.shape[3]
        key, size = (self._name, layer, which), math.prod(shape)
        if key not in self._storage or self._storage[key].numel() < size:
            self._storage[key] = like.new_zeros(size)
        return self._storage[key][:size].view(shape)

    def only(self, rows: Tensor) -> KeyValues:
        """A copy that holds just `rows`, in that order."""
        found = KeyValues(len(rows), self.columns, self.room)
        for layer, held in self._held.items():
            one, two = (each[rows.to(each.device)] for each in held)
            found._held[layer] = one, two
        return found

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many columns come before the next pass."""
        return self._look.end - self._look.first

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """How many columns the next pass of `query_length` sees, and the first of them."""
        return self.get_seq_length() + query_length, 0


def _write_right_aligned(held: Tensor, at: Look, new: Tensor, stop: int) -> None:
    assert at.sizes
    if held.device.type == "cpu":  # a handful of rows: copied one by one, in half the time
        rows = at.rows.tolist() if isinstance(at.rows, Tensor) else range(held.shape[0])[at.rows]
        for n, (row, size) in enumerate(zip(rows, at.sizes, strict=True)):
            held[row, stop - size : stop] = new[n, :size]
        return
    sizes = torch.tensor(at.sizes, device=new.device)[:, None]
    place = torch.arange(new.shape[1], device=new.device) - (new.shape[1] - sizes)
    index = place.clamp(min=0)[:, :, None, None].expand(new.shape)
    rows = at.rows.to(held.device) if isinstance(at.rows, Tensor) else at.rows
    held[rows, at.end : stop] = new.gather(1, index)
