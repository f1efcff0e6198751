"""Anthropic's sycophancy questions: https://github.com/anthropics/evals, Perez et al. 2022,
https://arxiv.org/abs/2212.09251.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sycophancy_steering.sources.published_questions import (
    SPACED,
    labelled_question,
)
from sycophancy_steering.sources.question_file import QuestionFile, read_questions
from sycophancy_steering.sources.records import json_lines


def anthropic(path: Path) -> QuestionFile:
    """The three files of sycophancy questions, JSON lines.

    Answers are " (A)", a list of them where several do not match (PhilPapers). Other keys, such as
    the political quiz's `user_affiliation`, are not needed: the view is stated in the persona.
    """
    return read_questions(path, json_lines(path), partial(labelled_question, answer=SPACED))
