"""`source` of params.yaml: files of questions."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, Integer, Text


@dataclass(frozen=True, config=SECTION)
class SourceFile:
    """A file of questions, and how it is read."""

    format: Literal[
        "anthropic",
        "truthfulqa",
        "caa",
        "rimsky",
        "sycophancy_eval",
        "persona_vectors",
        "sycon",
        "elephant",
        "statements",
        "own",
    ]
    """Whose format the file has: docs/published_questions.md; `own`: docs/own_questions.md."""
    file: Text
    """Its path, from the top of the repository: JSON lines, JSON, CSV, TSV, Parquet, Arrow, or a
    folder that `datasets` saved."""
    form: Literal["letters", "free"] = "letters"
    """truthfulqa: whether the answers are shown with letters, or not at all."""
    last: Annotated[Integer, Field(ge=0)] = 0
    """How many questions to use, from the end of the file; 0: all of them."""
    order: Literal["balanced", "published"] = "balanced"
    """The order of the options: each in each place equally often, or as in the file."""
    family: Text | None = None
    """The family of all its questions, instead of what the format says."""
    columns: dict[Text, Text | None] = field(default_factory=dict)
    """`item`, `persona`, `family`, `without_user` or a key of the format -> the file's column that
    holds it (`a.b`: b inside a), or none."""
    on_bad_rows: Literal["refuse", "report"] = "refuse"
    """What a record that cannot be used does: it ends the stage with its line, or the rest is used
    and it is listed in data/prompts/SET.bad_rows.json."""
