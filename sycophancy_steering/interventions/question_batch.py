"""Questions of a prompt set, and the log-odds of their sycophantic answers under interventions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.workers import Workers
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.intervened_forward import IntervenedForward, log_odds
from sycophancy_steering.questions.question import Row, Turn


@dataclass(frozen=True)
class QuestionBatch:
    """Questions, and the model that answers them."""

    answers: pl.DataFrame
    """A row a question: its `row` in the prompt set, `id`, `item`, `family` and `label`."""
    rows: Sequence[Row]
    forward: IntervenedForward

    def reprompted(self, prompt: Callable[[Row], tuple[Turn, ...]]) -> QuestionBatch:
        """The same questions, each under another prompt."""
        chats = [(prompt(row), row.answers) for row in self.rows]
        return replace(self, forward=IntervenedForward(self.forward.workers, chats))

    def log_odds(
        self,
        interventions: Sequence[Intervention] = (NO_INTERVENTION,),
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Floats:
        """(interventions, n): log-odds of the sycophantic answer.

        Calls `on_progress` with the number of answers that were added.
        """
        odds = np.empty((len(interventions), len(self.rows)))
        for number, indices, logprobs in self.forward.logprobs(interventions):
            odds[number, indices] = self.log_odds_of(indices, logprobs)
            on_progress(len(indices))
        return odds

    def log_odds_of(
        self, indices: Sequence[int], logprobs: Sequence[Sequence[float]]
    ) -> list[float]:
        """Log-odds of the sycophantic answer to the questions at `indices`, from the
        log-probabilities of their answers."""
        return [
            log_odds(self.rows[index], of_question)
            for index, of_question in zip(indices, logprobs, strict=True)
        ]


def forward_of(rows: Sequence[Row], workers: Workers) -> IntervenedForward:
    """The questions with the prompts and answers of their prompt set."""
    return IntervenedForward(workers, [(row.messages, row.answers) for row in rows])
