"""Keys and values of prefilled prompts, with space for the tokens that follow them.

All prompts of a batch end at the same column, whatever their lengths. Following tokens are written
in place into the columns after it, so nothing is copied, grown or cropped between passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from sycophancy_steering.engine.residual_stream import RowIndex

Buffers = dict[tuple[str, int, int], Tensor]
"""Memory that each batch overwrites; allocating it anew takes ten times as long."""


@dataclass(frozen=True)
class PrefixColumns:
    """Columns of a cache of shared prefixes, to be copied in front of what a pass writes."""

    cache: KeyValueCache
    indices: Tensor
    """(rows, columns): flat indices into the rows and columns of `cache`; arbitrary at padding."""

    @staticmethod
    def indices_of(cache: KeyValueCache, row: int, length: int, count: int) -> Tensor:
        """Flat indices of the first `count` tokens of a prefix of `length` tokens in a row."""
        start = row * (cache.columns + cache.n_following) + cache.columns - length
        return torch.arange(start, start + count)


@dataclass(frozen=True)
class PassWindow:
    """The columns that one forward pass reads and writes."""

    rows: RowIndex
    first: int
    """The first column that it attends to."""
    end: int
    """The first column that it writes."""
    lengths: list[int] | None = None
    """Tokens of each row where the pass is padded on the right; stored with the padding on the
    left, so that all rows end at the same column."""
    prefixes: PrefixColumns | None = None
    """Where columns `first` to `end` are copied from, unless they are in place already."""


class KeyValueCache(Cache):
    """Keys and values of every block: (rows, heads, columns, d_head) each.

    With shared `buffers`, it is valid until the next batch of the same `name`.
    """

    def __init__(
        self,
        n_rows: int,
        columns: int,
        n_following: int,
        name: str = "",
        buffers: Buffers | None = None,
    ):
        super().__init__(layers=[])
        self.columns = columns
        """At which all prompts end."""
        self.n_following = n_following
        """Columns after them."""
        self._n_rows = n_rows
        self._name = name
        self._buffers = {} if buffers is None else buffers
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        self._window = PassWindow(slice(None), 0, columns)

    def set_window(self, window: PassWindow) -> None:
        """Sets the columns of the next pass."""
        self._window = window

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Stores keys and values of new tokens (rows, heads, tokens, d_head); returns those of all
        columns that the pass attends to. Called by Hugging Face's attention layers."""
        window = self._window
        if layer_idx not in self._layers:
            self._layers[layer_idx] = (
                self._buffer(layer_idx, 0, key_states),
                self._buffer(layer_idx, 1, value_states),
            )
        rows = _on_device(window.rows, key_states.device)
        attended = []
        for which, states in enumerate((key_states, value_states)):
            stored = self._layers[layer_idx][which]
            stop = window.end + states.shape[2]
            if window.lengths:
                _write_right_aligned(stored, window, states, stop)
            else:
                stored[rows, :, window.end : stop] = states
            if window.prefixes:
                prefixes = window.prefixes.cache._layers[layer_idx][which]
                indices = window.prefixes.indices.to(prefixes.device)
                columns = prefixes[indices // prefixes.shape[2], :, indices % prefixes.shape[2]]
                stored[rows, :, window.first : window.end] = columns.transpose(1, 2)
            # Without earlier columns, the new tokens are all that is attended to.
            alone = window.first == window.end
            attended.append(states if alone else stored[rows, :, window.first : stop])
        return attended[0], attended[1]

    def _buffer(self, layer: int, which: int, like: Tensor) -> Tensor:
        """Zeros, or finite values of an earlier batch; never NaN, which masking does not remove."""
        shape = self._n_rows, like.shape[1], self.columns + self.n_following, like.shape[3]
        key, size = (self._name, layer, which), math.prod(shape)
        if key not in self._buffers or self._buffers[key].numel() < size:
            self._buffers[key] = like.new_zeros(size)
        return self._buffers[key][:size].view(shape)

    def select_rows(self, rows: Tensor) -> KeyValueCache:
        """A copy of `rows`, in that order."""
        selected = KeyValueCache(len(rows), self.columns, self.n_following)
        for layer, stored in self._layers.items():
            keys, values = (tensor[rows.to(tensor.device)] for tensor in stored)
            selected._layers[layer] = keys, values
        return selected

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns before the next pass. Called by Hugging Face."""
        return self._window.end - self._window.first

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Columns that a pass of `query_length` attends to, and their offset. Called by Hugging
        Face."""
        return self.get_seq_length() + query_length, 0


def _on_device(rows: RowIndex, device: torch.device) -> RowIndex:
    return rows.to(device) if isinstance(rows, Tensor) else rows


def _write_right_aligned(stored: Tensor, window: PassWindow, new: Tensor, stop: int) -> None:
    """Writes rows padded on the right so that their tokens end at column `stop`."""
    assert window.lengths
    if stored.device.type == "cpu":  # a few rows: copying them one by one takes half the time
        rows = (
            window.rows.tolist()
            if isinstance(window.rows, Tensor)
            else range(stored.shape[0])[window.rows]
        )
        for n, (row, length) in enumerate(zip(rows, window.lengths, strict=True)):
            stored[row, :, stop - length : stop] = new[n, :, :length]
        return
    lengths = torch.tensor(window.lengths, device=new.device)[:, None]
    source = torch.arange(new.shape[2], device=new.device) - (new.shape[2] - lengths)
    index = source.clamp(min=0)[:, None, :, None].expand(new.shape)
    stored[_on_device(window.rows, stored.device), :, window.end : stop] = new.gather(2, index)
