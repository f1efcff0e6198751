"""What is done to the residual stream while a model runs: something added, or something removed.

A model with an intervention is run like any other (`LanguageModel.intervention`): every token is
touched once, when it is run, and what is kept of it for later tokens is as it was left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]
"""States (..., d_model) -> the same number of them."""
Where = Literal["every", "prompt_end", "answer", "prompt_end_on"]
"""Every token; the last of the prompt; those of the answer; both of these, as CAA does it."""


@dataclass(frozen=True)
class Intervention:
    """What is changed after which layers, and at which tokens."""

    changes: Mapping[int, Change]
    """By layer, of its output."""
    where: Where = "every"

    def on_prompts(self, ends: Tensor | None) -> Mapping[int, Change]:
        """For a pass over prompts (rows, tokens), of which each ends at its token of `ends`
        (rows,); None where they go on."""
        if self.where == "every":
            return self.changes
        if self.where in ("prompt_end", "prompt_end_on") and ends is not None:
            return {layer: partial(_at, ends, each) for layer, each in self.changes.items()}
        return {}

    def on_answers(self) -> Mapping[int, Change]:
        """For a pass over tokens of answers, forced ones or the model's own."""
        return {} if self.where == "prompt_end" else self.changes


NOTHING = Intervention({})


def _at(tokens: Tensor, change: Change, states: Tensor) -> Tensor:
    """`states` (rows, tokens, d_model), changed at one token of each row."""
    rows, tokens = torch.arange(len(states), device=states.device), tokens.to(states.device)
    found = states.clone()
    found[rows, tokens] = change(states[rows, tokens])
    return found


def adding(vector: Tensor) -> Change:
    """Adds `vector` (d_model,)."""
    return lambda states: states + vector.to(states)


def without(vector: Tensor, level: float = 0.0) -> Change:
    """Sets the coordinate along `vector` (d_model,) to `level`: 0, or what it is in the mean.

    Removing the component is directional ablation (Arditi et al. 2024,
    https://arxiv.org/abs/2406.11717); setting it to its mean is mean-ablation.
    """
    unit = (vector.double() / vector.double().norm()).float()

    def change(states: Tensor) -> Tensor:
        along, exact = unit.to(states.device), states.float()
        return (exact - (exact @ along - level)[..., None] * along).to(states.dtype)

    return change


def erased(projection: Tensor, mean: Tensor) -> Change:
    """Takes `projection` (d_model, d_model) of what is not the `mean` (d_model,) away: LEACE's
    erasure (Belrose et al. 2023, https://arxiv.org/abs/2306.03819)."""

    def change(states: Tensor) -> Tensor:
        away, middle = (each.float().to(states.device) for each in (projection, mean))
        exact = states.float()
        return (exact - (exact - middle) @ away.T).to(states.dtype)

    return change
