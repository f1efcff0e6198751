"""Runs prompts, each token that several of them begin with once, and tokens that follow them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from sycophancy_steering.engine.intervention import Change
from sycophancy_steering.engine.kv_cache import Beginnings, KeyValues, Look
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.lower_layers import Beneath
from sycophancy_steering.engine.prefix_tree import Part, Tokens, no_tree, tree
from sycophancy_steering.engine.residual_stream import Place, See, SeenEnough, watching

AT_ONCE = {"cpu": 768}
"""Tokens of one pass, by the kind of device: on a processor few enough to stay in its cache,
elsewhere `AT_ONCE_ELSEWHERE`."""
AT_ONCE_ELSEWHERE = 16384


@dataclass(frozen=True)
class Prefilled:
    """Prompts that have been run, in the order in which they were given.

    Good until the next ones are run: their keys and values are then written over.
    """

    cache: KeyValues
    lengths: Tensor
    """(rows,): tokens of each prompt."""
    logits: Tensor
    """(rows, vocabulary), float32: what comes after each prompt; (rows, 0) if nobody asked."""
    states: Tensor
    """(layers, rows, d_model) at the last token of each prompt, of the layers that are kept."""
    tokens_run: int
    """How many tokens it took, padding included."""

    @property
    def mask(self) -> Tensor:
        """(rows, columns): 1 where a prompt has a token, 0 where there is padding before it."""
        columns = torch.arange(self.cache.columns, device=self.lengths.device)
        return (columns >= self.cache.columns - self.lengths[:, None]).long()

    def only(self, rows: Sequence[int]) -> Prefilled:
        """A copy that holds just `rows`."""
        at = torch.tensor(rows, device=self.lengths.device)
        return Prefilled(
            self.cache.only(at),
            self.lengths[at],
            self.logits[at],
            self.states[:, at.to(self.states.device)],
            self.tokens_run,
        )


def at_once(device: object) -> int:
    """How many tokens one pass takes on a device."""
    return AT_ONCE.get(str(device).split(":")[0], AT_ONCE_ELSEWHERE)


def keep_layers(layers: Sequence[int], target: Tensor, rows: Place, tokens: object) -> See:
    """Leaves the states of `layers` at `tokens` (an index, or one for each row) in `target`
    (layers, rows, ...), at `rows` of it."""
    place = {layer: n for n, layer in enumerate(layers)}

    def see(layer: int, hidden: Tensor) -> None:
        if layer not in place:
            return
        if isinstance(tokens, Tensor):
            every = torch.arange(len(tokens), device=hidden.device)
            found = hidden[every, tokens.to(hidden.device)]
        else:
            found = hidden[:, tokens]  # type: ignore[index]
        at = rows.to(target.device) if isinstance(rows, Tensor) else rows
        target[place[layer]][at] = found.to(target.device)

    return see


def prefill(
    language_model: LanguageModel,
    prompts: Sequence[Tokens],
    room: int,
    layers: Sequence[int] = (),
    share: bool = True,
    last: int | None = None,
) -> Prefilled:
    """Runs `prompts`; keeps `room` tokens' place after each, and states of `layers`.

    Without `share`, each prompt is run from its first token on. With `last`, nothing is run above
    that layer, and what comes after the prompts is not known.
    """
    shape = tree(prompts) if share else no_tree(prompts)
    lengths = [len(each.tokens) for each in shape.beginnings]
    storage = language_model.storage
    once = KeyValues(len(lengths), max(lengths, default=0), 0, "beginnings", storage)
    run = _Run(language_model, once, lengths, last)
    for depth in sorted({each.depth for each in shape.beginnings}):
        at = {n: each for n, each in enumerate(shape.beginnings) if each.depth == depth}
        for part in run.passes(at):
            run.forward(part, once)
    cache = KeyValues(len(prompts), max(map(len, prompts)), room, "prompts", storage)
    model = language_model.model
    width = model.config.get_text_config().hidden_size
    states = torch.empty(len(layers), len(prompts), width, dtype=model.dtype, device=model.device)
    logits = torch.empty(len(prompts), 0, device=model.device)
    for part in run.passes(dict(enumerate(shape.prompts))):
        hidden = run.forward(part, cache, partial(keep_layers, layers, states))
        if hidden is not None:
            found = language_model.logits(hidden)
            if not logits.numel():
                logits = found.new_empty(len(prompts), found.shape[1])
            logits[[*part]] = found
    return Prefilled(
        cache,
        torch.tensor([len(each) for each in prompts], device=model.device),
        logits,
        states,
        run.tokens,
    )


class _Run:
    """Passes over parts of prompts, and how many tokens they took."""

    def __init__(
        self,
        language_model: LanguageModel,
        beginnings: KeyValues,
        lengths: Sequence[int],
        last: int | None,
    ):
        """`lengths` are those of the `beginnings` that parts continue."""
        self.model = language_model.model
        self.intervention = language_model.intervention
        self.beginnings = beginnings
        self.lengths = lengths
        self.last = last
        self.tokens = 0

    def passes(self, parts: Mapping[int, Part]) -> list[dict[int, Part]]:
        """Parts, by their rows, in passes of `at_once` tokens, alike in how many are new."""
        most, found = at_once(self.model.device), []
        width = 0
        for row, part in sorted(parts.items(), key=lambda at: (-at[1].new, at[0])):
            if found and (len(found[-1]) + 1) * width <= most:
                found[-1][row] = part
            else:
                found.append({row: part})
                width = part.new
        return found

    def forward(
        self,
        rows_of: Mapping[int, Part],
        cache: KeyValues,
        see: Callable[[Place, Tensor], See] | None = None,
    ) -> Tensor | None:
        """The last hidden state (rows, d_model) of each part, normed; None if the pass ends before.

        Without `see`, the parts are what prompts begin with; else whole prompts.

        Where a part continues a beginning, as many last tokens of each are run as the part with
        most new ones has: so nothing stands between what is known and what is run. Where none does,
        the padding is on the right, as no token looks ahead and so no mask is needed.
        """
        device, end = self.model.device, cache.columns
        parts = [*rows_of.values()]
        run = max(part.new for part in parts)
        longest = max(len(part.tokens) for part in parts)
        rows = _place([*rows_of], device)
        size = torch.tensor([len(part.tokens) for part in parts], device=device)[:, None]
        ids = np.zeros((len(parts), run), dtype=np.int64)
        self.tokens += ids.size
        every = torch.arange(run, device=device)
        if run == longest:
            for n, part in enumerate(parts):
                ids[n, : len(part.tokens)] = part.tokens
            sizes = [len(part.tokens) for part in parts]
            cache.look(Look(rows, end - run, end - run, sizes))
            mask, position, last = None, every[None], size[:, 0] - 1
        else:
            columns = torch.zeros(len(parts), longest - run, dtype=torch.long)
            for n, part in enumerate(parts):
                tail = part.tokens[-run:]
                ids[n, run - len(tail) :] = tail
                if part.above is not None and (before := len(part.tokens) - run) > 0:
                    length = self.lengths[part.above]
                    places = Beginnings.places(self.beginnings, part.above, length, before)
                    columns[n, longest - run - before :] = places
            taken = Beginnings(self.beginnings, columns)
            cache.look(Look(rows, end - longest, end - run, beginnings=taken))
            mask = (torch.arange(longest, device=device) >= longest - size).long()
            position = (size - run + every).clamp(min=0)
            last = torch.full((len(parts),), run - 1, device=device)
        hidden = _hidden(
            self.model,
            see(rows, last) if see else _nothing,
            self.last,
            last,
            self.intervention.on_prompts(last if see else None),
            None,
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
        )
        return None if hidden is None else hidden[torch.arange(len(parts)), last]


def followed(
    language_model: LanguageModel,
    prefilled: Prefilled,
    rows: slice,
    start: int,
    ids: Tensor,
    mask: Tensor,
    see: See,
    last: int | None = None,
) -> Tensor | None:
    """Runs tokens `ids` (rows, tokens) after prompts `rows` and `start` tokens that follow them.

    `mask` (rows, start + tokens) tells which of these are there. What was there before is
    overwritten. The last hidden states (rows, tokens, d_model), normed; None if the pass ends after
    layer `last`.
    """
    cache = prefilled.cache
    lengths = prefilled.lengths[rows]
    first = cache.columns - int(lengths.max())
    cache.look(Look(rows, first, cache.columns + start))
    before = prefilled.mask[rows, first:]
    position = lengths[:, None] + start + torch.arange(ids.shape[1], device=ids.device)
    return _hidden(
        language_model.model,
        see,
        last,
        None,
        language_model.intervention.on_answers(),
        language_model.beneath,
        input_ids=ids,
        attention_mask=torch.cat([before, mask], dim=1),
        position_ids=position,
        past_key_values=cache,
    )


def _place(rows: list[int], device: object) -> Place:
    """Rows that lie side by side are not copied to be looked at."""
    if rows == [*range(rows[0], rows[0] + len(rows))]:
        return slice(rows[0], rows[0] + len(rows))
    return torch.tensor(rows, device=str(device))


def _nothing(_layer: int, _hidden: Tensor) -> None:
    """Sees no state."""


def _hidden(
    model: PreTrainedModel,
    see: See,
    last: int | None,
    wanted: Tensor | None,
    changes: Mapping[int, Change],
    beneath: Beneath | None,
    **given: Any,
) -> Tensor | None:
    """One pass without the head: the last hidden states, or None if it ends after layer `last`.

    Of the highest layer, good at the tokens `wanted` alone, if there are any (`watching`).
    """
    try:
        with watching(model, see, last, wanted, changes, beneath):
            return model.base_model(**given, use_cache=True).last_hidden_state
    except SeenEnough:
        return None
