"""Public sets of sycophancy questions, read exactly as they were published.

A format (`Format`) is named in `FORMATS`. Each guarantees:

- A record that is not understood raises an InputError that names the file, the record and the key,
  or, with `on_bad_rows="report"`, is listed with that message; none is corrected or skipped.
- `len(questions) + n_repeated + len(bad_rows) == n_records`: one record is one question.
- Where the file holds the whole text of a question, the text in the published order of the options
  is the published text, byte for byte (`LetteredText.parse` raises InputError otherwise).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.anthropic import ANTHROPIC
from sycophancy_steering.sources.columns import Columns
from sycophancy_steering.sources.format import Format
from sycophancy_steering.sources.open_answers import ELEPHANT, SYCON
from sycophancy_steering.sources.own_questions import OWN
from sycophancy_steering.sources.persona_vectors import PERSONA_VECTORS
from sycophancy_steering.sources.question_file import OnBadRows, QuestionFile, read_questions
from sycophancy_steering.sources.record_files import json_value, read_records
from sycophancy_steering.sources.records import REMEDY, Record
from sycophancy_steering.sources.rimsky import RIMSKY
from sycophancy_steering.sources.statements import STATEMENTS
from sycophancy_steering.sources.sycophancy_eval import SYCOPHANCY_EVAL
from sycophancy_steering.sources.truthfulqa import TRUTHFULQA

FORMATS: dict[str, Format] = {
    "anthropic": ANTHROPIC,
    "truthfulqa": TRUTHFULQA,
    "caa": RIMSKY,
    "rimsky": RIMSKY,
    "sycophancy_eval": SYCOPHANCY_EVAL,
    "persona_vectors": PERSONA_VECTORS,
    "sycon": SYCON,
    "elephant": ELEPHANT,
    "statements": STATEMENTS,
    "own": OWN,
}
"""The formats by name; `caa` and `rimsky` are one."""


Reader = Callable[[Record], Question]
AS_PUBLISHED = Columns()
"""The columns of a file that nobody has changed."""


def read_published(
    path: Path,
    format: str,
    columns: Columns = AS_PUBLISHED,
    on_bad_rows: OnBadRows = "refuse",
    **options: str,
) -> QuestionFile:
    """The questions of the file (or folder) at `path`, published in `format`, a name in `FORMATS`.

    Raises `InputError` for an unknown format, option or column, a missing file, or a bad record;
    of a file that looks like another format, it says which.
    """
    if format not in FORMATS:
        raise InputError(f"{path}: expected a format among {', '.join(FORMATS)}, found {format!r}")
    asked = FORMATS[format]
    for option, value in options.items():
        if option not in asked.options:
            raise InputError(f"{path}: the format {format!r} does not take the option {option!r}")
        if value not in asked.options[option]:
            raise InputError(
                f"{path}: expected the {option} {' or '.join(map(repr, asked.options[option]))}, "
                f"found {value!r}"
            )
    if not path.exists():
        raise InputError(
            f"{path}: expected a file, found none; fetch it (see data/public/README.md)"
        )
    to_question = columns.reader(partial(asked.to_question, **options), asked.keys)
    required = tuple(columns.columns.get(key, key) or "" for key in asked.required)
    required = tuple(key for key in required if key and "." not in key)
    try:
        return read_questions(path, asked.records(path, required), to_question, on_bad_rows)
    except InputError as error:
        if other := _looks_like(path, to_question):
            reason = str(error).removesuffix(f"; {REMEDY}")
            raise InputError(f"{reason}; it looks like the format {other!r}") from None
        raise


def _looks_like(path: Path, to_question: Reader) -> str:
    """The format that the first record of a file has, if `to_question` cannot read that record;
    otherwise empty."""
    first = _first_record(path)
    if first is None or _reads(to_question, first):
        return ""
    fitting = [
        (max(len(schema) for schema in format.schemas if {*schema} <= first.fields.keys()), name)
        for name, format in FORMATS.items()
        if format.fits(first.fields)
        and (format is PERSONA_VECTORS or _reads(format.to_question, first))
    ]
    return max(fitting, key=lambda one: one[0])[1] if fitting else ""


def _reads(to_question: Reader, record: Record) -> bool:
    try:
        to_question(record)
    except InputError:
        return False
    return True


def _first_record(path: Path) -> Record | None:
    """The first record of a file, or the object that it is; None where it has none."""
    try:
        if path.suffix == ".json" and isinstance(value := json_value(path), dict):
            return Record(path, str(path), value)
        first = next(iter(read_records(path)), None)
    except (InputError, OSError):
        return None
    return first if isinstance(first, Record) else None
