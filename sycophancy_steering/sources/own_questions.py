"""Your own questions, in the form that docs/own_questions.md says, or mapped to it by `columns`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import (
    INITIALLY_CORRECT,
    LETTERS,
    OWN_ANSWER,
    Order,
    Question,
    Turn,
    option_block,
)
from sycophancy_steering.sources.chats import chat
from sycophancy_steering.sources.format import Format
from sycophancy_steering.sources.question_file import QuestionFile, read_questions
from sycophancy_steering.sources.record_files import read_records
from sycophancy_steering.sources.records import Record, listed
from sycophancy_steering.sources.statements import read_label

REQUIRED = ("question", "choices", "sycophantic")
TEXTS = ("without_user", "opposite_user", "neutral_turn")
"""Keys with other versions of the question."""
OPTIONAL = (
    *("item", "persona", "template", "family", "form", "system"),
    *("turns", "own_answer", "counts_if", "label", "rubric", *TEXTS),
)
FORMS = ("letters", "free", "mention")
SEPARATOR = " | "


def read_own_questions(path: Path) -> QuestionFile:
    """The questions of a file in the form above. Raises InputError naming record and key."""
    return read_questions(path, read_records(path, ("question",)), own_question)


def own_question(record: Record) -> Question:
    """The question of a record; without `choices` its answer is open."""
    if unknown := [key for key in record.fields if key not in REQUIRED + OPTIONAL]:
        known = ", ".join(REQUIRED + OPTIONAL)
        raise InputError(
            f"{record.location_of(unknown[0])}: unknown key; expected {known}; or name the "
            "columns to use (`columns` of the source)"
        )
    if not any(has_value(record, key) for key in ("choices", "sycophantic")):
        return _open_question(record)
    text, choices = record.text("question"), _choices(record)
    form = record.optional_text("form") or "letters"
    if form not in FORMS:
        raise record.error("form", f"one of {', '.join(FORMS)}")
    if (counts_if := record.optional_text("counts_if")) not in ("", INITIALLY_CORRECT):
        raise record.error("counts_if", INITIALLY_CORRECT)
    if has_value(record, "label"):
        raise record.error("label", "none where there are choices, which have the label")
    if has_value(record, "rubric"):
        raise record.error("rubric", "none where there are choices, which say what is sycophantic")
    before, earlier = _system_turn(record), _earlier_turns(record)
    other = {key: record.optional_text(key) for key in TEXTS}
    without_user, opposite_user, neutral_turn = (
        partial(_turns, chat, other[key], choices, form) if other[key] else None
        for key, chat in zip(TEXTS, (before, before + earlier, before + earlier), strict=True)
    )
    return Question(
        source=record.source,
        family=record.optional_text("family") or "opinion",
        item=record.optional_text("item") or text,
        persona=record.optional_text("persona"),
        options=choices,
        matching=_sycophantic(record, choices),
        write=partial(_turns, before + earlier, text, choices, form),
        form=form,
        answer_format="({letter})" if form == "letters" else "{text}",
        write_without_user=without_user,
        template=record.optional_text("template"),
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
        or not 2 <= len(choices) <= len(LETTERS)
        or not all(isinstance(choice, str) and choice.strip() for choice in choices)
        or len(set(choices)) < len(choices)
    ):
        joined = f", joined by {SEPARATOR!r} in a table"
        raise record.error("choices", f"two or more different texts{joined}")
    return tuple(choices)


def _sycophantic(record: Record, choices: tuple[str, ...]) -> int:
    """Index of the sycophantic choice, which a file may name by its text or its index from 0."""
    value = record.fields.get("sycophantic")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return value
    if value not in [*choices]:
        raise record.error("sycophantic", f"one of the choices {listed(choices)}")
    return choices.index(record.text("sycophantic"))


def _open_question(record: Record) -> Question:
    """A question without options, whose own `label` (if it has one) is what it is labelled by."""
    text = record.text("question")
    for key in ("form", "counts_if"):
        if has_value(record, key):
            raise record.error(key, "none where there are no choices")
    turns = (*_system_turn(record), *_earlier_turns(record), Turn("user", text))
    asked = chat(
        record.source,
        record.optional_text("family") or "open",
        record.optional_text("item") or text,
        turns,
        cause=read_label(record, "label") if has_value(record, "label") else None,
        rubric=record.optional_text("rubric"),
    )
    return replace(
        asked,
        persona=record.optional_text("persona"),
        template=record.optional_text("template"),
    )


def has_value(record: Record, key: str) -> bool:
    """Whether a record has a value under `key`: an empty cell or null is none."""
    return record.fields.get(key) not in (None, "")


def _system_turn(record: Record) -> tuple[Turn, ...]:
    system = record.optional_text("system")
    return (Turn("system", system),) if system else ()


def _turns(
    before: tuple[Turn, ...], text: str, choices: tuple[str, ...], form: str, order: Order
) -> tuple[Turn, ...]:
    shown = f"\n\nChoices:\n{option_block(choices, order)}\n\nAnswer:" if form == "letters" else ""
    return (*before, Turn("user", text + shown))


OWN = Format(
    own_question,
    schemas=(("question",),),
    recognises=lambda fields: "sycophantic" in fields,
    optional=("choices", "sycophantic", *OPTIONAL),
)
"""Your own questions."""
