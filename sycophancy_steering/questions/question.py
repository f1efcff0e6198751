"""A question that can be asked with its options in either order, and the row it becomes.

A source (a built-in table or a file) yields `Question`s; `build_row` fixes the order of the options
and returns the `Row` that later stages read from `data/prompts/SET.parquet`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

EXTRACTION_SPLIT = "extract"
"""The split of questions that vectors are made from."""

Order = tuple[int, ...]
"""`order[k]` is the index, in `Question.options`, of the option shown at position k."""


@dataclass(frozen=True)
class Turn:
    """One turn of a chat."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str
    own: bool = field(default=False, repr=False)  # the order of samples goes by the repr
    """Whether this is what the model itself says here: generated when the question is asked, and
    empty in prompt sets."""


OWN_ANSWER = Turn("assistant", "", own=True)
"""A turn of the model's own."""
INITIALLY_CORRECT = "initially_correct"
"""Condition of an answer to count: without the user's words, the model gives the other option."""


@dataclass(frozen=True)
class Question:
    """A question before the order of its options is chosen."""

    source: str
    """The name of a built-in table or a file."""
    family: str
    """The kind of sycophancy: opinion, misconception, pushback."""
    item: str
    """The claim or topic asked about; intervals are clustered by item."""
    persona: str
    """Who asks; empty where nobody is named."""
    options: tuple[str, ...]
    """The texts of the options, in the source's order; none for a chat that has no answer to look
    for."""
    matching: int
    """Index of the sycophantic option: the one that matches the user's view. 0 without options."""
    write: Callable[[Order], tuple[Turn, ...]]
    """Returns the chat with the options in a given order."""
    form: str = "letters"
    """`letters`: the options are shown and the answer is a letter. `free`: nothing is shown and the
    answer is the option's text. `mention`: as `free`, but the option may be anywhere in a sentence
    of the model's own."""
    answer_format: str = "({letter})"
    """The format of a forced answer, with `letter` and `text`."""
    cause: float | None = None
    """How strongly the prompt asks for agreement, where that is known by construction: the planted
    cause of the model organisms."""
    write_without_user: Callable[[Order], tuple[Turn, ...]] | None = None
    """Returns the neutral version of the chat: without the user's view and wishes. None where there
    is no user to leave out."""
    true_answers: tuple[str, ...] = ()
    """All answers known to be true, the best one first (TruthfulQA); empty where unknown."""
    false_answers: tuple[str, ...] = ()
    fixed_order: bool = False
    """Whether the options are always shown in the source's order."""
    template: str = ""
    """The wording that the question is put in; empty where there is only one."""
    strength: str = ""
    """How hard the wording presses, where wordings differ in it: every split has all strengths."""
    write_opposite_user: Callable[[Order], tuple[Turn, ...]] | None = None
    """Returns the same chat with a user of the opposite view."""
    write_neutral_turn: Callable[[Order], tuple[Turn, ...]] | None = None
    """Returns the same chat with a neutral last turn in place of the user's pushback."""
    counts_if: str = ""
    """`initially_correct`, or empty where every answer counts."""
    rubric: str = ""
    """For an answer without options, what graders ask of it: a criterion, or the whole prompt of a
    judge (labels/rubrics.py). Empty where nothing is graded."""
    not_matching: tuple[int, ...] | None = None
    """Indices of the options that are known not to be sycophantic; None: all the others are. An
    option that is neither has no label."""


@dataclass(frozen=True)
class Row:
    """One row of `data/prompts/SET.parquet`: a question as it is asked."""

    id: str
    """Content hash: the same text has the same id in every set and on every machine."""
    source: str
    family: str
    item: str
    persona: str
    messages: tuple[Turn, ...]
    choices: tuple[tuple[str, str], ...]
    """(letter, text) in the order shown."""
    matching: str
    """Letter of the sycophantic answer; empty for a chat without options."""
    not_matching: tuple[str, ...]
    """Letters of the answers that are known not to be sycophantic."""
    answers: tuple[str, ...]
    """The forced answer of each choice, in the order of `choices`."""
    form: str
    split: str
    cause: float | None
    without_user: tuple[Turn, ...] = ()
    """The neutral version of the chat, without the user's view: what distinguishes sycophancy from
    agreement. Empty where there is none."""
    true_answers: tuple[str, ...] = ()
    false_answers: tuple[str, ...] = ()
    template: str = ""
    opposite_user: tuple[Turn, ...] = ()
    """The chat with a user of the opposite view; empty where there is none."""
    neutral_turn: tuple[Turn, ...] = ()
    """The chat with a neutral last turn; empty where there is none."""
    counts_if: str = ""
    rubric: str = ""

    def forced_answer(self, letter: str) -> str:
        """The forced answer of the choice shown under `letter`."""
        return self.answers[[mark for mark, _ in self.choices].index(letter)]


def option_letters(order: Order) -> dict[int, str]:
    """Index of each option in the source -> the letter under which it is shown."""
    return {option: LETTERS[position] for position, option in enumerate(order)}


def option_block(
    options: tuple[str, ...], order: Order, option_format: str = " ({letter}) {text}"
) -> str:
    """The options, one a line, in the order shown."""
    return "\n".join(
        option_format.format(letter=LETTERS[position], text=options[option])
        for position, option in enumerate(order)
    )


def build_row(question: Question, order: Order, split: str) -> Row:
    """The row that `question` becomes when its options are shown in `order`."""
    letter = option_letters(order)
    choices = tuple((letter[option], question.options[option]) for option in order)
    messages = question.write(order)
    answers = tuple(question.answer_format.format(letter=mark, text=text) for mark, text in choices)
    matching = letter[question.matching] if question.options else ""
    content = [[turn.role, turn.content] for turn in messages], answers, matching
    return Row(
        id=hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16],
        source=question.source,
        family=question.family,
        item=question.item,
        persona=question.persona,
        messages=messages,
        choices=choices,
        matching=matching,
        not_matching=tuple(
            letter[o]
            for o in order
            if o != question.matching
            and (question.not_matching is None or o in question.not_matching)
        ),
        answers=answers,
        form=question.form,
        split=split,
        cause=question.cause,
        without_user=_written(question.write_without_user, order),
        true_answers=question.true_answers,
        false_answers=question.false_answers,
        template=question.template,
        opposite_user=_written(question.write_opposite_user, order),
        neutral_turn=_written(question.write_neutral_turn, order),
        counts_if=question.counts_if,
        rubric=question.rubric,
    )


def _written(write: Callable[[Order], tuple[Turn, ...]] | None, order: Order) -> tuple[Turn, ...]:
    return write(order) if write else ()
