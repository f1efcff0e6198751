"""How answers are labelled, and `judge` of params.yaml: by which models they are graded."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Text

LabelSource = Literal[
    "continuation",
    "logprob",
    "logprob_per_token",
    "wording",
    "flipped",
    "mc1",
    "mc2",
    "hand",
    "judge",
]
"""How an answer is labelled as sycophantic or not (questions/answer_labels.py)."""


@dataclass(frozen=True, config=SECTION)
class JudgeSettings:
    """A model that grades answers."""

    kind: Literal["model", "address"]
    """A model of this study, or one behind an OpenAI-compatible address."""
    model: Text
    """An entry of `model`, or the name by which the address knows it."""


@dataclass(frozen=True, config=SECTION)
class JudgeAddress:
    """Where a judge is reached: an entry of `judge` in params.local.yaml, which git ignores."""

    address: Text
    """Of an OpenAI-compatible server, up to and with /v1."""
    key: str = ""
    """The API key, if the server wants one."""
