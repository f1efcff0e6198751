"""Questions in plain English that a small instruction model understands, written for this project.

The sentences are in data/questions: facts, misconceptions, claims, and twelve wordings of each kind
of pressure in three strengths. Every question asks for an answer in words, and can be asked again
without the user's view, by a user of the opposite view, or with a neutral turn: what the user's
words change is known only against these.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sycophancy_steering.questions.question import (
    INITIALLY_CORRECT,
    OWN_ANSWER,
    Order,
    Question,
    Turn,
    option_block,
)

QUESTIONS = Path("data/questions")
BRIEFLY = "Answer in a few words."


@dataclass(frozen=True)
class Wording:
    """One way to put pressure on the model."""

    template: str
    strength: str
    text: str
    """With {question} and {answer}, or {claim}."""

    def turn(self, **parts: str) -> Turn:
        """The user's turn."""
        return Turn("user", self.text.format(**parts))


def read_rows(name: str, folder: Path = QUESTIONS) -> list[dict[str, str]]:
    """The rows of a table in data/questions."""
    with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_facts() -> list[dict[str, str]]:
    """The facts, each question with the wish for a short answer: a small model wanders off."""
    return [row | {"question": f"{row['question']} {BRIEFLY}"} for row in read_rows("facts")]


def read_wordings(kind: str) -> list[Wording]:
    """All wordings of one kind of pressure."""
    rows = read_rows("wordings")
    return [
        Wording(row["template"], row["strength"], row["text"])
        for row in rows
        if row["kind"] == kind
    ]


def suggestions() -> list[Question]:
    """The user suggests a wrong answer before the model has given any."""
    return [
        _about_fact(
            fact,
            ("suggestions", "suggestion"),
            wording,
            (wording.turn(question=fact["question"], answer=fact["wrong"]),),
            opposite=(wording.turn(question=fact["question"], answer=fact["right"]),),
        )
        for fact in read_facts()
        for wording in read_wordings("suggestion")
    ]


def pushback() -> list[Question]:
    """The user claims a wrong answer after the model has given its own."""
    return _pushback("pushback_named", ("pushback", "pushback"))


def doubts() -> list[Question]:
    """The user doubts the model's own answer, without naming another one."""
    return _pushback("pushback_doubt", ("doubts", "doubt"))


def _pushback(kind: str, source: tuple[str, str]) -> list[Question]:
    neutral = read_wordings("pushback_neutral")
    questions = []
    for fact in read_facts():
        before = (Turn("user", fact["question"]), OWN_ANSWER)
        for wording, control in zip(read_wordings(kind), neutral, strict=True):
            turns = (*before, wording.turn(answer=fact["wrong"]))
            question = _about_fact(fact, source, wording, turns, neutral=(*before, control.turn()))
            questions.append(question)
    return questions


def _about_fact(
    fact: dict[str, str],
    source: tuple[str, str],
    wording: Wording,
    turns: tuple[Turn, ...],
    opposite: tuple[Turn, ...] = (),
    neutral: tuple[Turn, ...] = (),
) -> Question:
    """A question about a fact, of a source and its family."""
    return Question(
        source=source[0],
        family=source[1],
        item=fact["topic"],
        persona="",
        options=(_capitalised(fact["right"]), _capitalised(fact["wrong"])),
        matching=1,
        write=_always(turns),
        form="mention",
        answer_format="{text}.",
        write_without_user=_always((Turn("user", fact["question"]),)),
        template=wording.template,
        strength=wording.strength,
        write_opposite_user=_always(opposite) if opposite else None,
        write_neutral_turn=_always(neutral) if neutral else None,
        counts_if=INITIALLY_CORRECT,
    )


def misconceptions() -> list[Question]:
    """The user states a popular misconception, and asks about it."""
    questions = []
    for row in read_rows("misconceptions"):
        for wording in read_wordings("misconception"):
            by_answer = {
                answer: (wording.turn(question=row["question"], answer=row[answer]),)
                for answer in ("myth", "fact")
            }
            questions.append(
                Question(
                    source="misconceptions",
                    family="misconception",
                    item=row["topic"],
                    persona="",
                    options=(row["fact"], row["myth"]),
                    matching=1,
                    write=_always(by_answer["myth"]),
                    form="mention",
                    answer_format="{text}",
                    write_without_user=_always((Turn("user", row["question"]),)),
                    template=wording.template,
                    strength=wording.strength,
                    write_opposite_user=_always(by_answer["fact"]),
                )
            )
    return questions


def opinions() -> list[Question]:
    """The user is for a claim, or against it, and asks for the model's view."""
    return [
        replace(question, form="mention", answer_format="{text}")
        for question in _about_claims("opinions", "opinion", _nothing)
    ]


def opinions_by_letter() -> list[Question]:
    """The same, but both views are options under letters, and the answer is a letter.

    Small models answer by letter, not by content: these questions tell a bias for a letter from
    sycophancy.
    """
    return [*_about_claims("opinions_by_letter", "opinion_by_letter", _lettered)]


def _about_claims(
    source: str, family: str, ending_with: Callable[[tuple[str, ...]], Callable[[Order], str]]
) -> Iterator[Question]:
    """Every claim, wording and view of the user; `ending_with` gives the end of the question."""
    for row in read_rows("claims"):
        views = (row["claim"], f"it is wrong to say that {row['claim']}")
        options = tuple(f"I think that {view}." for view in views)
        ending = ending_with(options)
        for wording in read_wordings("opinion"):
            turns = [wording.turn(claim=view) for view in views]
            for matching in (0, 1):
                yield Question(
                    source=source,
                    family=family,
                    item=row["topic"],
                    persona="",
                    options=options,
                    matching=matching,
                    write=_with(turns[matching], ending),
                    write_without_user=_with(
                        Turn("user", f"Do you think that {row['claim']}?"), ending
                    ),
                    template=wording.template,
                    strength=wording.strength,
                    write_opposite_user=_with(turns[1 - matching], ending),
                )


def _lettered(options: tuple[str, ...]) -> Callable[[Order], str]:
    """The options under letters, and the wish for a letter."""
    return lambda order: f"\n\n{option_block(options, order)}\n\nAnswer with (A) or (B)."


def _nothing(options: tuple[str, ...]) -> Callable[[Order], str]:
    return lambda order: ""


def _with(turn: Turn, ending: Callable[[Order], str]) -> Callable[[Order], tuple[Turn, ...]]:
    """The user's turn, followed by what depends on the order of the options."""
    return lambda order: (replace(turn, content=turn.content + ending(order)),)


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _always(turns: tuple[Turn, ...]) -> Callable[[Order], tuple[Turn, ...]]:
    """The same chat in every order, as no options are shown."""
    return lambda order: turns


PLAIN_ENGLISH: dict[str, Callable[[], Sequence[Question]]] = {
    "suggestions": suggestions,
    "pushback": pushback,
    "doubts": doubts,
    "misconceptions": misconceptions,
    "opinions": opinions,
    "opinions_by_letter": opinions_by_letter,
}
"""The sources in plain English by name."""
