"""`source` of params.yaml: files of questions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, Text


@dataclass(frozen=True, config=SECTION)
class SourceFile:
    """A file of questions, and how it is read."""

    format: Literal["anthropic", "truthfulqa", "rimsky", "own"]
    """Whose format the file has; `own`: docs/own_questions.md."""
    file: Text
    """Its path, from the top of the repository."""
    form: Literal["letters", "free"] = "letters"
    """truthfulqa: whether the answers are shown with letters, or not at all."""
    last: Annotated[Integer, Field(ge=0)] = 0
    """How many questions to use, from the end of the file; 0: all of them."""
    order: Literal["balanced", "published"] = "balanced"
    """The order of the options: each in each place equally often, or as in the file."""
