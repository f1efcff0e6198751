"""Sources of questions by name: the built-in ones, and the files named in params.yaml."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.source import SourceFile
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.built_in import ORGANISM_LANGUAGE, read_tables
from sycophancy_steering.sources.chats import CHATS
from sycophancy_steering.sources.descriptions import DESCRIPTIONS
from sycophancy_steering.sources.own_questions import read_own_questions
from sycophancy_steering.sources.plain_english import PLAIN_ENGLISH
from sycophancy_steering.sources.published import read_published


def read_source(name: str, seed: int) -> Sequence[Question]:
    """All questions of a source. Raises InputError for an unknown source or a bad file."""
    if name in PLAIN_ENGLISH:
        return PLAIN_ENGLISH[name]()
    if name in CHATS:
        return CHATS[name]()
    if name in DESCRIPTIONS:
        return DESCRIPTIONS[name]()
    if name in ORGANISM_LANGUAGE:
        return ORGANISM_LANGUAGE[name](read_tables(), random.Random(seed))
    settings = read_section(SourceFile, "source", name)
    path = Path(settings.file)
    if settings.format == "own":
        if not path.is_file():
            raise InputError(f"params.yaml: source.{name}.file: no file {path}")
        questions = read_own_questions(path).questions
    else:
        options = {"form": settings.form} if settings.format == "truthfulqa" else {}
        questions = read_published(path, settings.format, **options).questions
    fixed_order = settings.order == "published"
    return [
        replace(question, source=name, fixed_order=fixed_order)
        for question in questions[-settings.last :]
    ]
