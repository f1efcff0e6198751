"""Sources of questions by name: the built-in ones, and the files named in params.yaml."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.source import SourceFile
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.built_in import ORGANISM_LANGUAGE, read_tables
from sycophancy_steering.sources.chats import CHATS
from sycophancy_steering.sources.columns import Columns
from sycophancy_steering.sources.descriptions import DESCRIPTIONS
from sycophancy_steering.sources.plain_english import PLAIN_ENGLISH
from sycophancy_steering.sources.published import FORMATS, read_published


@dataclass(frozen=True)
class Source:
    """The questions of a source."""

    questions: Sequence[Question]
    n_repeated: int = 0
    """Records of its file that repeat an earlier one, which are left out."""
    bad_rows: tuple[str, ...] = ()
    """Records of its file that cannot be used and are left out, each in a line that says why."""


def read_source(name: str, seed: int) -> Source:
    """A source. Raises InputError for an unknown one, and for a bad file."""
    for built_in in (PLAIN_ENGLISH, CHATS, DESCRIPTIONS):
        if name in built_in:
            return Source(built_in[name]())
    if name in ORGANISM_LANGUAGE:
        return Source(ORGANISM_LANGUAGE[name](read_tables(), random.Random(seed)))
    return read_file(name, read_section(SourceFile, "source", name))


def read_file(name: str, settings: SourceFile) -> Source:
    """The questions of a file of params.yaml, whose entry is called `name`."""
    path = Path(settings.file)
    if not path.exists():
        raise InputError(
            f"params.yaml: source.{name}.file: no file {path}; fetch it (data/public/README.md)"
        )
    options = {"form": settings.form} if FORMATS[settings.format].options else {}
    columns = Columns(settings.family or "", settings.columns)
    try:
        read = read_published(path, settings.format, columns, settings.on_bad_rows, **options)
    except InputError as error:
        raise InputError(f"params.yaml: source.{name}: {error}") from None
    published = settings.order == "published"
    return Source(
        [
            replace(question, source=name, fixed_order=question.fixed_order or published)
            for question in read.questions[-settings.last :]
        ],
        read.n_repeated,
        read.bad_rows,
    )
