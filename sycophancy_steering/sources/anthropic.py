"""Anthropic's sycophancy questions: https://github.com/anthropics/evals, Perez et al. 2022,
https://arxiv.org/abs/2212.09251.
"""

from __future__ import annotations

from functools import partial

from sycophancy_steering.sources.format import Format, answers_begin_with
from sycophancy_steering.sources.published_questions import (
    LABELLED,
    MATCHING,
    SPACED,
    labelled_question,
)

ANTHROPIC = Format(
    partial(labelled_question, answer=SPACED),
    schemas=(LABELLED,),
    recognises=answers_begin_with(" (", MATCHING),
)
"""The three files of sycophancy questions, JSON lines.

Answers are " (A)", a list of them where several do not match (PhilPapers). Other keys, such as the
political quiz's `user_affiliation`, are not needed: the view is stated in the persona.
"""
