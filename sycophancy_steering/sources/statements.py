"""Tables of statements that are true or false, as in geometry of truth:
https://github.com/saprmarks/geometry-of-truth, Marks and Tegmark 2023, https://arxiv.org/abs/2310.06824.
"""

from __future__ import annotations

from sycophancy_steering.questions.question import Question, Turn
from sycophancy_steering.sources.chats import chat
from sycophancy_steering.sources.format import Format
from sycophancy_steering.sources.records import Record

LABELS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}


def labelled_statement(record: Record) -> Question:
    """The statement is all that the user says, and its label is the question's `cause`."""
    statement = record.text("statement")
    turns, cause = (Turn("user", statement),), read_label(record, "label")
    return chat(record.source, "statement", statement.strip(), turns, cause=cause)


def read_label(record: Record, key: str) -> float:
    """1 or 0. Raises InputError for another value."""
    value = record.fields.get(key)
    if isinstance(value, (str, int, float)) and (word := str(value).strip().lower()) in LABELS:
        return LABELS[word]
    raise record.error(key, "1 or 0, or true or false")


STATEMENTS = Format(labelled_statement, schemas=(("statement", "label"),))
"""Tables with the columns `statement` and `label`."""
