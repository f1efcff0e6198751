"""`activations` of params.yaml: how a model is run over its prompts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, PositiveInteger, Switch


@dataclass(frozen=True, config=SECTION)
class ActivationSettings:
    """How activations and responses are extracted."""

    max_new_tokens: PositiveInteger
    """The longest continuation, in tokens."""
    stop_at: Literal["answer", "turn"]
    """A continuation ends where its answer is complete (`answer`), or with the model's `turn`."""
    answer_wordings: Literal["written", "any"] = "written"
    """The answers whose log-probabilities are computed: as `written` in the source, or in `any`
    wording: "(A)", " (A", "A", the option's text."""
    continuation_tokens: list[Integer] = Field(default_factory=list)
    """Tokens of the continuation, counted from 1, whose activations are stored too; not for
    questions of the split `extract`."""
    last_layer: Annotated[Integer, Field(ge=0)] | Literal["last"] = "last"
    """The highest layer whose activations are stored, counted from 0."""
    batch_tokens: PositiveInteger | Literal["auto"] = "auto"
    """Prompt tokens in memory at a time; halved where memory runs out. Changes no result."""
    share_prefixes: Switch = True
    """Whether tokens that several prompts begin with are run once. Changes no result."""

    @field_validator("continuation_tokens")
    @classmethod
    def _ascending(cls, tokens: list[int]) -> list[int]:
        if tokens != sorted({token for token in tokens if token > 0}):
            raise ValueError(f"expected ascending numbers from 1, each once, found {tokens}")
        return tokens
