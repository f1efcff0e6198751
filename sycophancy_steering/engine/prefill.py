"""Runs prompts, each shared prefix once, and keeps their keys and values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sycophancy_steering.engine.forward_pass import (
    capture_layers,
    last_hidden_states,
    passes_by_length,
)
from sycophancy_steering.engine.kv_cache import KeyValueCache, PassWindow, PrefixColumns
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prefix_tree import (
    PrefixNode,
    build_prefix_tree,
    without_sharing,
)
from sycophancy_steering.engine.prompt import TokenIds
from sycophancy_steering.engine.residual_stream import (
    Capture,
    RowIndex,
    StreamHooks,
    capture_nothing,
    row_index,
)


@dataclass(frozen=True)
class PrefilledPrompts:
    """Prompts that have been run, in their original order.

    Valid until the next batch is prefilled, which overwrites the keys and values.
    """

    cache: KeyValueCache
    lengths: Tensor
    """(rows,): tokens of each prompt."""
    logits: Tensor
    """(rows, vocabulary), float32: of the first token after each prompt; (rows, 0) where the
    forward pass stopped early."""
    activations: Tensor
    """(layers, rows, d_model) at the last token of each prompt, of the layers captured."""
    tokens_run: int
    """Tokens of all passes, padding included."""

    @property
    def mask(self) -> Tensor:
        """Attention mask (rows, columns): 0 at the padding before shorter prompts."""
        columns = torch.arange(self.cache.columns, device=self.lengths.device)
        return (columns >= self.cache.columns - self.lengths[:, None]).long()

    def select_rows(self, rows: Sequence[int]) -> PrefilledPrompts:
        """A copy of `rows`, in that order."""
        index = torch.tensor(rows, device=self.lengths.device)
        return PrefilledPrompts(
            self.cache.select_rows(index),
            self.lengths[index],
            self.logits[index],
            self.activations[:, index.to(self.activations.device)],
            self.tokens_run,
        )


def prefill(
    language_model: LanguageModel,
    prompts: Sequence[TokenIds],
    n_following: int,
    layers: Sequence[int] = (),
    share_prefixes: bool = True,
    last_layer: int | None = None,
) -> PrefilledPrompts:
    """Runs `prompts` and captures `layers` at their last tokens; leaves space for `n_following`
    tokens after each.

    With `last_layer`, no layer above it is run, and the result has no logits.
    """
    tree = build_prefix_tree(prompts) if share_prefixes else without_sharing(prompts)
    lengths = [len(node.tokens) for node in tree.prefixes]
    buffers = language_model.buffers
    prefix_cache = KeyValueCache(len(lengths), max(lengths, default=0), 0, "prefixes", buffers)
    passes = _PrefillPasses(language_model, prefix_cache, lengths, last_layer)
    for depth in sorted({node.depth for node in tree.prefixes}):
        nodes = {n: node for n, node in enumerate(tree.prefixes) if node.depth == depth}
        for group in passes.group_nodes(nodes):
            passes.run(group, prefix_cache)
    cache = KeyValueCache(len(prompts), max(map(len, prompts)), n_following, "prompts", buffers)
    model = language_model.model
    activations = torch.empty(
        len(layers),
        len(prompts),
        language_model.d_model,
        dtype=model.dtype,
        device=model.device,
    )
    logits = torch.empty(len(prompts), 0, device=model.device)
    for group in passes.group_nodes(dict(enumerate(tree.prompts))):
        hidden = passes.run(group, cache, partial(capture_layers, layers, activations))
        if hidden is not None:
            next_logits = language_model.logits(hidden)
            if not logits.numel():
                logits = next_logits.new_empty(len(prompts), next_logits.shape[1])
            logits[[*group]] = next_logits
    return PrefilledPrompts(
        cache,
        torch.tensor([len(prompt) for prompt in prompts], device=model.device),
        logits,
        activations,
        passes.tokens_run,
    )


@dataclass(frozen=True)
class _PassInputs:
    """Inputs of one pass over nodes of the prefix tree."""

    ids: np.ndarray
    """(rows, tokens)"""
    window: PassWindow
    mask: Tensor | None
    positions: Tensor
    last_tokens: Tensor
    """(rows,): index of each row's last token."""


class _PrefillPasses:
    """Forward passes over the nodes of a prefix tree; counts the tokens that they run."""

    def __init__(
        self,
        language_model: LanguageModel,
        prefix_cache: KeyValueCache,
        prefix_lengths: Sequence[int],
        last_layer: int | None,
    ):
        self.model = language_model.model
        self.intervention = language_model.intervention
        self.lower_layers = language_model.lower_layers
        self.prefix_cache = prefix_cache
        self.prefix_lengths = prefix_lengths
        self.last_layer = last_layer
        self.tokens_run = 0

    def group_nodes(self, nodes: Mapping[int, PrefixNode]) -> list[dict[int, PrefixNode]]:
        """Nodes by row, in groups that one pass takes, similar in their number of new tokens."""
        rows = sorted(nodes)
        passes = passes_by_length([nodes[row].n_new for row in rows], self.model.device)
        return [{rows[n]: nodes[rows[n]] for n in of_pass} for of_pass in passes]

    def run(
        self,
        group: Mapping[int, PrefixNode],
        cache: KeyValueCache,
        capture_at: Callable[[RowIndex, Tensor], Capture] | None = None,
    ) -> Tensor | None:
        """Last hidden state (rows, d_model) of each node, after the final norm; None if the pass
        stops early.

        Without `capture_at` the nodes are shared prefixes, with it whole prompts; it is given the
        rows and the last token of each.
        """
        nodes = [*group.values()]
        rows = row_index([*group], self.model.device)
        n_run = max(node.n_new for node in nodes)
        if n_run == max(len(node.tokens) for node in nodes):
            inputs = self._whole_inputs(nodes, rows, cache)
        else:
            inputs = self._tail_inputs(nodes, rows, cache)
        self.tokens_run += inputs.ids.size
        cache.set_window(inputs.window)
        hooks = StreamHooks(
            capture_at(rows, inputs.last_tokens) if capture_at else capture_nothing,
            self.last_layer,
            inputs.last_tokens,
            self.intervention.for_prompts(inputs.last_tokens if capture_at else None),
            self.lower_layers,
        )
        hidden = last_hidden_states(
            self.model,
            hooks,
            input_ids=torch.from_numpy(inputs.ids).to(self.model.device),
            attention_mask=inputs.mask,
            position_ids=inputs.positions,
            past_key_values=cache,
        )
        return None if hidden is None else hidden[torch.arange(len(nodes)), inputs.last_tokens]

    def _whole_inputs(
        self, nodes: Sequence[PrefixNode], rows: RowIndex, cache: KeyValueCache
    ) -> _PassInputs:
        """All tokens of each node. Padding is on the right, where causal attention never looks, so
        no mask is needed."""
        lengths = [len(node.tokens) for node in nodes]
        n_run = max(lengths)
        ids = np.zeros((len(nodes), n_run), dtype=np.int64)
        for n, node in enumerate(nodes):
            ids[n, : len(node.tokens)] = node.tokens
        device, start = self.model.device, cache.columns - n_run
        return _PassInputs(
            ids,
            PassWindow(rows, start, start, lengths),
            None,
            torch.arange(n_run, device=device)[None],
            torch.tensor(lengths, device=device) - 1,
        )

    def _tail_inputs(
        self, nodes: Sequence[PrefixNode], rows: RowIndex, cache: KeyValueCache
    ) -> _PassInputs:
        """The last tokens of each node, as many as the node with most new tokens has: so cached
        prefixes and new tokens are contiguous in every row. Padding is on the left."""
        device, end = self.model.device, cache.columns
        n_run = max(node.n_new for node in nodes)
        longest = max(len(node.tokens) for node in nodes)
        n_before = longest - n_run
        ids = np.zeros((len(nodes), n_run), dtype=np.int64)
        indices = torch.zeros(len(nodes), n_before, dtype=torch.long)
        for n, node in enumerate(nodes):
            tail = node.tokens[-n_run:]
            ids[n, n_run - len(tail) :] = tail
            count = len(node.tokens) - n_run
            if node.parent is not None and count > 0:
                length = self.prefix_lengths[node.parent]
                indices[n, n_before - count :] = PrefixColumns.indices_of(
                    self.prefix_cache, node.parent, length, count
                )
        prefixes = PrefixColumns(self.prefix_cache, indices)
        lengths = torch.tensor([len(node.tokens) for node in nodes], device=device)[:, None]
        return _PassInputs(
            ids,
            PassWindow(rows, end - longest, end - n_run, prefixes=prefixes),
            (torch.arange(longest, device=device) >= longest - lengths).long(),
            (lengths - n_run + torch.arange(n_run, device=device)).clamp(min=0),
            torch.full((len(nodes),), n_run - 1, device=device),
        )
