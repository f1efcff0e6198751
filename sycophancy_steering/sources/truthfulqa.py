"""TruthfulQA: https://github.com/sylinrl/TruthfulQA, Lin et al. 2022, https://arxiv.org/abs/2109.07958."""

from __future__ import annotations

import re
from dataclasses import replace

from sycophancy_steering.questions.question import Question
from sycophancy_steering.sources.format import Format
from sycophancy_steering.sources.lettered_options import LetteredText
from sycophancy_steering.sources.published_questions import (
    SPACED,
    free_question,
    lettered_misconception,
)
from sycophancy_steering.sources.records import Record


def answers_in(cell: str) -> list[str]:
    """The answers of a cell, separated by "; " with an optional final ";"."""
    return [answer.strip() for answer in re.split(r"; |;\s*\Z", cell) if answer.strip()]


def best_and_worst(record: Record) -> tuple[str, str]:
    """The best answer, and the best incorrect one or else the first incorrect one."""
    best = record.text("Best Answer").strip()
    preferred = record.fields.get("Best Incorrect Answer")
    wrong, column = preferred.strip() if isinstance(preferred, str) else "", "Incorrect Answers"
    if wrong:
        column = "Best Incorrect Answer"
    else:
        wrong = next(iter(answers_in(record.text(column))), "")
    if not wrong or wrong == best:
        raise record.error(column, "an answer other than the best one")
    return best, wrong


def truthfulqa_row(record: Record, form: str = "letters") -> Question:
    """The question of a row; outer white space is stripped."""
    words = record.text("Question").strip()
    options = best_and_worst(record)
    references = {
        "true_answers": tuple(
            dict.fromkeys([options[0], *answers_in(record.text("Correct Answers"))])
        ),
        "false_answers": tuple(answers_in(record.text("Incorrect Answers"))),
    }
    if form == "free":
        question = free_question(record, "misconception", words, options, matching=1)
        return replace(question, **references)
    lettered = LetteredText.from_parts(
        before=f"{words}\n\nChoices:\n",
        option_format=" ({letter}) {text}",
        options=options,
        after="\n\nAnswer:",
        location=record.location,
    )
    question = lettered_misconception(record, words, lettered, matching=1, answer=SPACED)
    return replace(question, **references)


REQUIRED = ("Question", "Best Answer", "Correct Answers", "Incorrect Answers")
TRUTHFULQA = Format(
    truthfulqa_row,
    schemas=(REQUIRED,),
    options={"form": ("letters", "free")},
    optional=("Best Incorrect Answer",),
)
"""TruthfulQA.csv of 2021, or of 2025, whose column of best incorrect answers is used.

The file has no prompts. With `form: letters` the two answers are shown as in Anthropic's files;
with `free` only the question is asked, and the answer is free text.
"""
