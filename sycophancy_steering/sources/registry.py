"""Every source of questions by name: the built-in ones, and public files named in params.yaml."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.built_in import BUILT_IN, read_tables
from sycophancy_steering.sources.own_questions import own
from sycophancy_steering.sources.published import read_published


@dataclass(frozen=True)
class PublicFile:
    """An entry of `source` in params.yaml."""

    format: Literal["anthropic", "truthfulqa", "rimsky", "own"]
    file: str
    form: Literal["letters", "free"] = "letters"
    """truthfulqa: whether the answers are shown."""
    last: int = 0
    """Only this many questions, from the end of the file; 0: all of them."""
    order: Literal["balanced", "published"] = "balanced"
    """How the options are shown: each in each place equally often, or as in the file."""

    def __post_init__(self) -> None:
        if self.last < 0:
            raise InputError(f"params.yaml: source: last: expected 0 or more, found {self.last}")


def questions_of(name: str, seed: int) -> Sequence[Question]:
    """All questions of the source called `name`."""
    if name in BUILT_IN:
        return BUILT_IN[name](read_tables(), random.Random(seed))
    public = read_section(PublicFile, "source", name)
    path = Path(public.file)
    if public.format == "own":
        if not path.is_file():
            raise InputError(f"params.yaml: source.{name}.file: no file {path}")
        questions = own(path).questions
    else:
        options = {"form": public.form} if public.format == "truthfulqa" else {}
        questions = read_published(path, public.format, **options).questions
    fixed = public.order == "published"
    return [replace(each, source=name, fixed_order=fixed) for each in questions[-public.last :]]
