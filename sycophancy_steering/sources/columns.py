"""Which columns of a file hold what a question is made of, and what holds for the whole file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Order, Question, Turn
from sycophancy_steering.sources.lettered_options import LetteredText, published_order
from sycophancy_steering.sources.records import Record

OF_EVERY_FORMAT = ("item", "persona", "family", "without_user")
"""What can be taken from a column in every format."""


@dataclass(frozen=True)
class Columns:
    """`family` and `columns` of a source in params.yaml."""

    family: str = ""
    """The family of all questions; empty: as the format says."""
    columns: Mapping[str, str | None] = field(default_factory=dict)
    """One of `OF_EVERY_FORMAT` or a key of the format -> the file's column, `a.b` for b inside a;
    None: the file has no such thing."""

    def reader(
        self, to_question: Callable[[Record], Question], keys: tuple[str, ...]
    ) -> Callable[[Record], Question]:
        """`to_question`, which reads `keys` of a record, with the columns of this file.

        Raises InputError for a column that can be nowhere used.
        """
        known = dict.fromkeys((*keys, *OF_EVERY_FORMAT))
        if unknown := [key for key in self.columns if key not in known]:
            raise InputError(
                f"columns: expected keys among {', '.join(known)}, found {unknown[0]!r}"
            )
        if not self.columns and not self.family:
            return to_question
        own = {key: column for key, column in self.columns.items() if key in keys}
        other = {key: column for key, column in self.columns.items() if key not in keys}

        def read(record: Record) -> Question:
            renamed = replace(record, fields=_renamed(record, own, keys)) if own else record
            question = to_question(renamed)
            for key, column in other.items():
                question = CHANGES[key](question, _cell(record, column) if column else None)
            return replace(question, family=self.family) if self.family else question

        return read


def _renamed(
    record: Record, columns: Mapping[str, str | None], keys: tuple[str, ...]
) -> dict[str, object]:
    """The fields of a record by the format's `keys`; columns that nobody named are not read."""
    used = {*columns, *columns.values()}
    fields = {k: v for k, v in record.fields.items() if k in keys and k not in used}
    for key, column in columns.items():
        if column:
            read = _cell if key in OF_EVERY_FORMAT else _value
            fields[key] = read(record, column)
    return fields


def _value(record: Record, column: str) -> object:
    """The value of a column; `a.b` is b inside a. Raises InputError where there is none."""
    if column in record.fields:
        return record.fields[column]
    value: object = record.fields
    for key in column.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise record.error(column, "this column (`columns` of the source names it)")
        value = value[key]
    return value


def _cell(record: Record, column: str) -> str:
    """The value of a column as text: names and numbers; empty where there is none."""
    value = _value(record, column)
    if value is None or isinstance(value, (str, int, float)):
        return "" if value is None else str(value).strip()
    raise record.error(column, "a text or a number")


def _with_item(question: Question, item: str | None) -> Question:
    return replace(question, item=item) if item else question


def _with_family(question: Question, family: str | None) -> Question:
    return replace(question, family=family) if family else question


def _with_persona(question: Question, persona: str | None) -> Question:
    """Without a persona there is no user whom a reader could have told from the question."""
    if persona is None:
        return replace(question, persona="", write_without_user=None)
    return replace(question, persona=persona)


def _with_plain_question(question: Question, text: str | None) -> Question:
    """The question without its user is `text`, with the same options in the same layout."""
    if not text:
        return replace(question, write_without_user=None)
    if question.form != "letters":
        return replace(question, write_without_user=partial(_plain_turns, text))
    shown = question.write(published_order(question.options))[-1].content
    try:
        lettered = LetteredText.parse(shown, question.item, several_lines=True)
    except InputError:  # the options are in an earlier turn
        return replace(question, write_without_user=partial(_plain_turns, text))
    head = lettered.before[len(lettered.stem) :]
    return replace(
        question, write_without_user=partial(_lettered_turns, replace(lettered, before=text + head))
    )


def _plain_turns(text: str, order: Order) -> tuple[Turn, ...]:
    return (Turn("user", text),)


def _lettered_turns(lettered: LetteredText, order: Order) -> tuple[Turn, ...]:
    return (Turn("user", lettered.write(order)),)


CHANGES: Mapping[str, Callable[[Question, str | None], Question]] = {
    "item": _with_item,
    "persona": _with_persona,
    "family": _with_family,
    "without_user": _with_plain_question,
}
"""What a column of `OF_EVERY_FORMAT` changes; its value is None where the file has none."""
