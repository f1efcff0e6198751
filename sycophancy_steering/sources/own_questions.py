"""Your own questions: JSON lines (`.jsonl`) or a table (`.csv`), as docs/own_questions.md says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Order, Question, Turn, option_block
from sycophancy_steering.sources.question_file import QuestionFile, read_questions
from sycophancy_steering.sources.records import Record, csv_rows, json_lines

REQUIRED = ("question", "choices", "sycophantic")
OPTIONAL = ("item", "persona", "family", "without_user", "system", "form")
SEPARATOR = " | "


def read_own_questions(path: Path) -> QuestionFile:
    """The questions of a file in the form above. Raises InputError naming record and key."""
    return read_questions(path, _records(path), _question)


def _records(path: Path) -> Iterator[Record]:
    if path.suffix == ".jsonl":
        return json_lines(path)
    if path.suffix == ".csv":
        return csv_rows(path, REQUIRED)
    raise InputError(f"{path}: expected a file that ends in .jsonl or .csv")


def _question(record: Record) -> Question:
    if unknown := [key for key in record.fields if key not in REQUIRED + OPTIONAL]:
        known = ", ".join(REQUIRED + OPTIONAL)
        raise InputError(f"{record.location_of(unknown[0])}: unknown key; expected {known}")
    text, choices = record.text("question"), _choices(record)
    sycophantic, form = record.text("sycophantic"), _optional(record, "form") or "letters"
    if sycophantic not in choices:
        raise record.error("sycophantic", f"one of the choices {', '.join(map(repr, choices))}")
    if form not in ("letters", "free"):
        raise record.error("form", "letters or free")
    without_user, system = _optional(record, "without_user"), _optional(record, "system")
    return Question(
        source=record.source,
        family=_optional(record, "family") or "opinion",
        item=_optional(record, "item") or text,
        persona=_optional(record, "persona"),
        options=choices,
        matching=choices.index(sycophantic),
        write=partial(_turns, system, text, choices, form),
        form=form,
        answer_format="({letter})" if form == "letters" else "{text}",
        write_without_user=(
            partial(_turns, system, without_user, choices, form) if without_user else None
        ),
    )


def _choices(record: Record) -> tuple[str, ...]:
    value = record.fields.get("choices")
    choices = value.split(SEPARATOR) if isinstance(value, str) else value
    if (
        not isinstance(choices, list)
        or len(choices) < 2
        or not all(isinstance(choice, str) and choice.strip() for choice in choices)
        or len(set(choices)) < len(choices)
    ):
        joined = f", joined by {SEPARATOR!r} in a table"
        raise record.error("choices", f"two or more different texts{joined}")
    return tuple(choices)


def _optional(record: Record, key: str) -> str:
    value = record.fields.get(key)
    if value is None or value == "":
        return ""
    return record.text(key)


def _turns(
    system: str, text: str, choices: tuple[str, ...], form: str, order: Order
) -> tuple[Turn, ...]:
    shown = f"\n\nChoices:\n{option_block(choices, order)}\n\nAnswer:" if form == "letters" else ""
    before = (Turn("system", system),) if system else ()
    return (*before, Turn("user", text + shown))
