"""What the engine is given and what it returns: a prompt, and what the model made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

TokenIds = NDArray[np.int32]
"""(tokens,)"""


class ChatTurn(Protocol):
    """One turn of a chat."""

    @property
    def role(self) -> str:
        """`system`, `user` or `assistant`."""
        ...

    @property
    def content(self) -> str:
        """The text."""
        ...


def never_complete(_text: str) -> bool:
    """Lets a continuation run to the end of the model's turn."""
    return False


@dataclass(frozen=True)
class Prompt:
    """A prompt, the answers forced after it, and what is extracted."""

    id: str
    """Named in error messages."""
    token_ids: TokenIds
    forced_answers: Sequence[Sequence[int]] = ()
    """Token ids of each; their log-probabilities are computed."""
    answer_positions: Mapping[str, int] = field(default_factory=dict)
    """Position name -> index of the forced answer at whose last token activations are stored. The
    names are the same for all prompts of a batch."""
    answer_wordings: Sequence[Sequence[Sequence[int]]] = ()
    """For each choice, token ids of all its wordings, none of which begins with another: their
    probabilities are added up."""
    store_continuation_tokens: bool = True
    """Whether activations at single tokens of the continuation are stored."""
    is_complete: Callable[[str], bool] = never_complete
    """Whether a continuation, as text, is complete and needs no further token."""


@dataclass(frozen=True)
class PositionActivations:
    """The residual stream at one position."""

    rows: list[int]
    """The prompts that have this position, by their index in the batch."""
    activations: np.ndarray
    """(layers, rows, d_model), in the model's dtype (bfloat16 as its 16 bits)."""


@dataclass(frozen=True)
class ModelOutput:
    """What the model says after one prompt."""

    continuation: list[int] = field(default_factory=list)
    """Token ids."""
    answer_logprobs: list[float] | None = None
    """Log-probability of each forced answer, summed over its tokens."""
    wording_logprobs: list[float] | None = None
    """Log-probability of each choice in any of its wordings, where the prompt has them."""


@dataclass(frozen=True)
class ExtractedBatch:
    """Activations and outputs of one batch of prompts."""

    activations: dict[str, PositionActivations]
    """By position: `prompt`, `continuation`, `continuation_mean`, those of the prompts'
    `answer_positions`, and `token_1`, `token_2`, ... of the continuation."""
    outputs: list[ModelOutput]
    prompt_tokens_run: int
    """Shared prefixes are counted once, padding is included."""


def token_position(number: int) -> str:
    """The name of the position at a token of the continuation, counted from 1."""
    return f"token_{number}"
