"""Transcripts of a model that was run elsewhere: its chats, and labels of its last answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sycophancy_steering.external.cell_table import as_number
from sycophancy_steering.external.score_report import Result
from sycophancy_steering.foundation.arrays import Floats, Names
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.grades import GRADES
from sycophancy_steering.questions.question import Turn
from sycophancy_steering.sources.record_files import json_lines
from sycophancy_steering.sources.records import Record, shortened
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share

REQUIRED = ("turns", "label")
NAMES = ("item", "persona", "family", "question_id")
OPTIONAL = (*NAMES, "metadata")
ROLES = ("system", "user", "assistant")
ALL = "all"
"""The row of all families together."""


@dataclass(frozen=True)
class Transcript:
    """One chat, whose last turn is the answer that the label is about."""

    place: str
    """File and line."""
    prompt: tuple[Turn, ...]
    """All turns but the last."""
    answer: str
    label: float | None
    """1 sycophantic and 0 not, or a grade; None where it was left open."""
    in_words: bool
    """Whether the label is true, false, or a word, not a number."""
    item: str
    """What it is about: `item`, else `question_id`, else the user's first words."""
    persona: str
    family: str


@dataclass(frozen=True)
class Transcripts:
    """The chats of a file that have a label, and how many have none."""

    labelled: Sequence[Transcript]
    n_unlabelled: dict[str, int]
    """By family."""

    @property
    def labels(self) -> Floats:
        """(n,)"""
        return np.array([chat.label for chat in self.labelled], dtype=np.float64)

    @property
    def items(self) -> Names:
        """(n,)"""
        return np.array([chat.item for chat in self.labelled])

    @property
    def families(self) -> Names:
        """(n,)"""
        return np.array([chat.family for chat in self.labelled])

    @property
    def are_binary(self) -> bool:
        """Whether the labels are 0 and 1 alone, not grades."""
        return set(self.labels.tolist()) <= {0.0, 1.0}


def read_transcripts(path: Path) -> Transcripts:
    """The transcripts of a .jsonl file, one a line, as docs/score.md says.

    Raises InputError for a record that is not one, by line and key, and where none has a label.
    """
    if path.suffix != ".jsonl" or not path.is_file():
        raise InputError(f"{path}: expected a file that ends in .jsonl, one transcript a line")
    labelled: list[Transcript] = []
    n_unlabelled: dict[str, int] = {}
    try:
        for record in json_lines(path):
            if isinstance(record, InputError):
                raise record
            chat = _transcript(record)
            n_unlabelled.setdefault(chat.family, 0)
            if chat.label is None:
                n_unlabelled[chat.family] += 1
            else:
                labelled.append(chat)
    except RecursionError:
        raise InputError(f"{path}: expected flat records, found deeply nested ones") from None
    if not labelled:
        raise InputError(f"{path}: expected transcripts with a label, found none")
    grade = next((chat for chat in labelled if chat.label not in (0, 1)), None)
    if grade and any(chat.in_words for chat in labelled):
        raise InputError(
            f"{grade.place}, key 'label': expected a class as in other records, found the grade "
            f"{grade.label:g}; write classes throughout, or grades throughout"
        )
    return Transcripts(labelled, n_unlabelled)


def _transcript(record: Record) -> Transcript:
    if unknown := [key for key in record.fields if key not in REQUIRED + OPTIONAL]:
        known = ", ".join(REQUIRED + OPTIONAL)
        raise InputError(
            f"{record.location_of(unknown[0])}: unknown key; expected {known} (metadata may hold "
            "anything else)"
        )
    turns = _turns(record)
    names = {key: _name(record, key) for key in NAMES}
    first_words = next(turn.content for turn in turns if turn.role == "user")
    return Transcript(
        place=record.location,
        prompt=turns[:-1],
        answer=turns[-1].content,
        label=_label(record),
        in_words=isinstance(record.fields.get("label"), bool | str),
        item=names["item"] or names["question_id"] or first_words,
        persona=names["persona"],
        family=names["family"] or ALL,
    )


def _turns(record: Record) -> tuple[Turn, ...]:
    value = record.fields.get("turns")
    if not isinstance(value, list) or not value:
        raise record.error("turns", "a list of turns {role, content}")
    turns = tuple(_turn(record, n, turn) for n, turn in enumerate(value, start=1))
    roles = [turn.role for turn in turns]
    without_system = roles[1:] if roles[0] == "system" else roles
    expected = [("user", "assistant")[n % 2] for n in range(len(without_system))]
    if without_system != expected or len(without_system) % 2 or not without_system:
        raise InputError(
            f"{record.location_of('turns')}: expected user and assistant in turn, a system turn at "
            f"most before them, and the assistant's answer last; found {shortened(roles, 80)}"
        )
    return turns


def _turn(record: Record, number: int, value: Any) -> Turn:
    place = f"{record.location_of('turns')}, turn {number}"
    if not isinstance(value, dict) or set(value) != {"role", "content"}:
        raise InputError(f"{place}: expected {{role, content}}, found {shortened(value)}")
    role, content = value["role"], value["content"]
    if role not in ROLES:
        raise InputError(f"{place}: expected a role of {', '.join(ROLES)}, found {shortened(role)}")
    if not isinstance(content, str) or not content.strip():
        raise InputError(f"{place}: expected a text that is not empty, found {shortened(content)}")
    return Turn(role, content)


def _label(record: Record) -> float | None:
    """1, 0, a grade, or None: null and "unclear" leave it open."""
    if "label" not in record.fields:
        raise record.error("label", "a label, or null where there is none")
    value = record.fields["label"]
    if value is None:
        return None
    if isinstance(value, str) and value.strip().lower() in GRADES:
        grade = GRADES[value.strip().lower()]
        return None if grade is None else float(grade)
    number = None if isinstance(value, str) else as_number(value)
    if number is None:
        raise record.error("label", f"true or false, a number, {', '.join(GRADES)}, or null")
    return number


def _name(record: Record, key: str) -> str:
    value = record.fields.get(key)
    if value is None or value == "":
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return record.text(key)


@dataclass(frozen=True)
class FamilyBehaviour:
    """What a model did on the questions of one family."""

    family: str
    n: int
    n_items: int
    n_unlabelled: int
    rate: Result
    """The share of sycophantic answers, or the mean grade."""


def behaviour(transcripts: Transcripts) -> list[FamilyBehaviour]:
    """A row a family, and one of all where there are several."""
    families = dict.fromkeys([*transcripts.n_unlabelled, ALL])
    if len(families) == 2 and next(iter(families)) != ALL:
        del families[ALL]
    rows = []
    for family in families:
        of_family = transcripts.families == family
        part = np.ones_like(of_family) if family == ALL else of_family
        labels, items = transcripts.labels[part], transcripts.items[part]
        n_unlabelled = (
            sum(transcripts.n_unlabelled.values())
            if family == ALL
            else transcripts.n_unlabelled[family]
        )
        if not part.any():
            nothing = Result(clustered_mean(np.array([np.nan]), np.array(["none"])))
            rows.append(FamilyBehaviour(family, 0, 0, n_unlabelled, nothing))
            continue
        rate = (
            clustered_share(labels == 1, items)
            if transcripts.are_binary
            else clustered_mean(labels, items)
        )
        n_items = len(np.unique(items))
        rows.append(FamilyBehaviour(family, len(labels), n_items, n_unlabelled, Result(rate)))
    return rows
