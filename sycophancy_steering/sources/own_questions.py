"""Your own questions: JSON lines (`.jsonl`) or a table (`.csv`), as docs/own_questions.md says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import (
    INITIALLY_CORRECT,
    OWN_ANSWER,
    Order,
    Question,
    Turn,
    option_block,
)
from sycophancy_steering.sources.question_file import QuestionFile, read_questions
from sycophancy_steering.sources.records import Record, csv_rows, json_lines

REQUIRED = ("question", "choices", "sycophantic")
TEXTS = ("without_user", "opposite_user", "neutral_turn")
"""Keys with other versions of the question."""
OPTIONAL = (
    *("item", "persona", "template", "family", "form", "system"),
    *("turns", "own_answer", "counts_if", *TEXTS),
)
FORMS = ("letters", "free", "mention")
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
    if form not in FORMS:
        raise record.error("form", f"one of {', '.join(FORMS)}")
    if (counts_if := _optional(record, "counts_if")) not in ("", INITIALLY_CORRECT):
        raise record.error("counts_if", INITIALLY_CORRECT)
    earlier = _earlier_turns(record)
    system = _optional(record, "system")
    before = (Turn("system", system),) if system else ()
    other = {key: _optional(record, key) for key in TEXTS}
    without_user, opposite_user, neutral_turn = (
        partial(_turns, chat, other[key], choices, form) if other[key] else None
        for key, chat in zip(TEXTS, (before, before + earlier, before + earlier), strict=True)
    )
    return Question(
        source=record.source,
        family=_optional(record, "family") or "opinion",
        item=_optional(record, "item") or text,
        persona=_optional(record, "persona"),
        options=choices,
        matching=choices.index(sycophantic),
        write=partial(_turns, before + earlier, text, choices, form),
        form=form,
        answer_format="({letter})" if form == "letters" else "{text}",
        write_without_user=without_user,
        template=_optional(record, "template"),
        write_opposite_user=opposite_user,
        write_neutral_turn=neutral_turn,
        counts_if=counts_if,
    )


def _earlier_turns(record: Record) -> tuple[Turn, ...]:
    """The turns before the question: those of `turns`, and the model's own with `own_answer`."""
    texts, own_answer = record.fields.get("turns") or [], record.fields.get("own_answer") or False
    if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
        raise record.error("turns", "a list of texts that are not empty")
    if not isinstance(own_answer, bool):
        raise record.error("own_answer", "true or false")
    if own_answer and len(texts) % 2 == 0:
        raise record.error("turns", "user, model, ..., user: the model's own answer follows")
    if not own_answer and len(texts) % 2:
        raise record.error("turns", "user, model, ..., model: the user's question follows")
    turns = [Turn(("user", "assistant")[n % 2], text) for n, text in enumerate(texts)]
    return (*turns, OWN_ANSWER) if own_answer else tuple(turns)


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
    before: tuple[Turn, ...], text: str, choices: tuple[str, ...], form: str, order: Order
) -> tuple[Turn, ...]:
    shown = f"\n\nChoices:\n{option_block(choices, order)}\n\nAnswer:" if form == "letters" else ""
    return (*before, Turn("user", text + shown))
