"""Public sets of sycophancy questions, read exactly as they were published.

A format is a function from a path to a `QuestionFile`, in `FORMATS`. Each guarantees:

- A record that is not understood raises an InputError that names the file, the record and the key;
  no record is corrected or skipped.
- `len(questions) + n_repeated == n_records`: one record is one question.
- Where the file holds the whole text of a question, the text in the published order of the options
  is the published text, byte for byte (`LetteredText.parse` raises InputError otherwise).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.anthropic import anthropic
from sycophancy_steering.sources.question_file import QuestionFile
from sycophancy_steering.sources.rimsky import rimsky
from sycophancy_steering.sources.truthfulqa import truthfulqa

FORMATS: dict[str, Callable[..., QuestionFile]] = {
    "anthropic": anthropic,
    "truthfulqa": truthfulqa,
    "rimsky": rimsky,
}
"""The readers by name."""


def read_published(path: Path, format: str, **options: str) -> QuestionFile:
    """The questions of the file at `path`, published in `format` (a name in `FORMATS`).

    Raises `InputError` for an unknown format or option, a missing file, or a bad record.
    """
    if format not in FORMATS:
        raise InputError(f"{path}: expected a format among {', '.join(FORMATS)}, found {format!r}")
    reader = FORMATS[format]
    try:
        inspect.signature(reader).bind(path, **options)
    except TypeError as error:
        raise InputError(
            f"{path}: the format {format!r} does not take these options, {error}"
        ) from None
    if not path.is_file():
        raise InputError(
            f"{path}: expected a file, found none; fetch it (see data/public/README.md)"
        )
    return reader(path, **options)
