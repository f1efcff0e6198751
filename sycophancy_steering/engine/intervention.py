"""Interventions on the residual stream: adding a vector, or removing a component.

A model with an intervention (`LanguageModel.intervention`) is run like any other. Each token is
changed once, when it is run; later tokens attend to its keys and values as changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from sycophancy_steering.engine.residual_stream import Change

Where = Literal["every", "prompt_end", "answer", "prompt_end_on"]
"""Every token; the last of the prompt; those of the answer; the prompt's last and the answer's, as
in CAA (Rimsky et al. 2024, https://arxiv.org/abs/2312.06681)."""


@dataclass(frozen=True)
class Intervention:
    """What is changed after which layers, and at which tokens."""

    changes: Mapping[int, Change]
    """By layer, of its output."""
    where: Where = "every"

    def for_prompts(self, last_tokens: Tensor | None) -> Mapping[int, Change]:
        """The changes in a pass over whole prompts (rows, tokens) with these last tokens (rows,),
        or, without them, over shared prefixes."""
        if self.where == "every":
            return self.changes
        if self.where in ("prompt_end", "prompt_end_on") and last_tokens is not None:
            return {
                layer: partial(_change_at, last_tokens, change)
                for layer, change in self.changes.items()
            }
        return {}

    def for_answers(self) -> Mapping[int, Change]:
        """The changes in a pass over tokens of forced answers or continuations."""
        return {} if self.where == "prompt_end" else self.changes


NO_INTERVENTION = Intervention({})


def _change_at(tokens: Tensor, change: Change, activations: Tensor) -> Tensor:
    """`activations` (rows, tokens, d_model), changed at one token of each row."""
    rows, tokens = (
        torch.arange(len(activations), device=activations.device),
        tokens.to(activations.device),
    )
    changed = activations.clone()
    changed[rows, tokens] = change(activations[rows, tokens])
    return changed


def add_vector(vector: Tensor) -> Change:
    """Adds `vector` (d_model,)."""
    return lambda activations: activations + vector.to(activations)


def ablate_direction(vector: Tensor, level: float = 0.0) -> Change:
    """Sets the coordinate along `vector` (d_model,) to `level`: 0, or its mean.

    Removing the component is directional ablation (Arditi et al. 2024,
    https://arxiv.org/abs/2406.11717); setting it to its mean is mean-ablation.
    """
    unit = (vector.double() / vector.double().norm()).float()

    def change(activations: Tensor) -> Tensor:
        direction, exact = unit.to(activations.device), activations.float()
        ablated = exact - (exact @ direction - level)[..., None] * direction
        return ablated.to(activations.dtype)

    return change


def erase_projection(projection: Tensor, mean: Tensor) -> Change:
    """Subtracts `projection` (d_model, d_model) of the deviation from `mean` (d_model,): LEACE's
    erasure (Belrose et al. 2023, https://arxiv.org/abs/2306.03819)."""

    def change(activations: Tensor) -> Tensor:
        matrix, centre = (tensor.float().to(activations.device) for tensor in (projection, mean))
        exact = activations.float()
        return (exact - (exact - centre) @ matrix.T).to(activations.dtype)

    return change
