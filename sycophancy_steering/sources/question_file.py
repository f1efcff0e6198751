"""The questions of a file, one a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.lettered_options import published_order
from sycophancy_steering.sources.records import REMEDY, Record


@dataclass(frozen=True)
class QuestionFile:
    """The questions of a file."""

    questions: list[Question]
    """In the order of the file, without repetitions."""
    n_records: int
    """Records in the file."""
    n_repeated: int
    """Records left out: text, options and sycophantic option are those of an earlier one."""


def read_questions(
    path: Path, records: Iterable[Record], to_question: Callable[[Record], Question]
) -> QuestionFile:
    """One question a record; records that repeat an earlier one are counted and left out.

    Records with the same text but another sycophantic option contradict one another; both are kept.
    Raises InputError for a file without records.
    """
    first: dict[object, Question] = {}
    n_records = 0
    for record in records:
        question = to_question(record)
        words = question.write(published_order(question.options))
        sycophantic = question.options[question.matching]
        first.setdefault((words, frozenset(question.options), sycophantic), question)
        n_records += 1
    if not n_records:
        raise InputError(f"{path}: expected records, found none; {REMEDY}")
    return QuestionFile(
        questions=list(first.values()), n_records=n_records, n_repeated=n_records - len(first)
    )
