"""The questions of a file, one a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.memory import no_garbage_collection
from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.lettered_options import published_order
from sycophancy_steering.sources.records import REMEDY, Record

OnBadRows = Literal["refuse", "report"]


@dataclass(frozen=True)
class QuestionFile:
    """The questions of a file: `len(questions) + n_repeated + len(bad_rows) == n_records`."""

    questions: list[Question]
    """In the order of the file, without repetitions."""
    n_records: int
    """Records in the file."""
    n_repeated: int
    """Records left out: text, options and sycophantic option are those of an earlier one."""
    bad_rows: tuple[str, ...] = ()
    """Records left out because they cannot be used: a line each, with the place and what was
    expected."""


def read_questions(
    path: Path,
    records: Iterable[Record | InputError],
    to_question: Callable[[Record], Question],
    on_bad_rows: OnBadRows = "refuse",
) -> QuestionFile:
    """One question a record; records that repeat an earlier one are counted and left out.

    Records with the same text but another sycophantic option contradict one another; both are kept.
    Raises InputError for a file without records, and for the first record that cannot be used or,
    with `report`, where none can.
    """
    first: dict[object, Question] = {}
    bad_rows: list[str] = []
    n_records = 0
    with no_garbage_collection():
        for record in records:
            n_records += 1
            try:
                if isinstance(record, InputError):
                    raise record
                question = to_question(record)
            except InputError as error:
                if on_bad_rows == "refuse":
                    raise
                bad_rows.append(str(error))
            else:
                first.setdefault(_identity(question), question)
    if not n_records:
        raise InputError(f"{path}: expected records, found none; {REMEDY}")
    if not first:
        raise InputError(f"{path}: none of {n_records} records can be used; {bad_rows[0]}")
    n_repeated = n_records - len(bad_rows) - len(first)
    return QuestionFile([*first.values()], n_records, n_repeated, tuple(bad_rows))


def _identity(question: Question) -> object:
    """Equal for questions with the same words, options and sycophantic option (or label)."""
    words = question.write(published_order(question.options))
    label = question.options[question.matching] if question.options else question.cause
    return words, frozenset(question.options), label
