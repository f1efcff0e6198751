"""Questions as a model was asked them: its own turns hold what it said there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

from sycophancy_steering.activations.own_answers import with_own_answer
from sycophancy_steering.questions.prompt_table import iter_prompts
from sycophancy_steering.questions.question import Row
from sycophancy_steering.schemas.activations import RESPONSES


def asked_questions(
    prompts: Path, activations: Path, rows: Collection[int] | None = None
) -> list[Row]:
    """The questions of the prompt set in the file `prompts`, or those at `rows`.

    `activations` is the folder of the model's activations and responses to that prompt set.
    """
    questions = [*iter_prompts(prompts, rows)]
    if not any(turn.own for question in questions for turn in question.messages):
        return questions
    responses = pl.read_parquet(activations / RESPONSES, columns=["id", "own_answer"])
    own_answers = dict(responses.iter_rows())
    return [with_own_answer(question, own_answers[question.id]) for question in questions]
