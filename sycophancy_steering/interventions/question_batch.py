"""Questions of a prompt set that a model is asked again, and how it answers them by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.intervened_forward import IntervenedForward, log_odds
from sycophancy_steering.questions.prompt_table import iter_prompts
from sycophancy_steering.questions.question import Row, Turn


@dataclass(frozen=True)
class QuestionBatch:
    """Questions, and a model to ask."""

    answers: pl.DataFrame
    """A row a question: its `row` in the prompt set, `id`, `item`, `family` and `label`."""
    rows: Sequence[Row]
    forward: IntervenedForward
    budget: int
    """Tokens of prompts in memory at a time."""

    @classmethod
    def from_answers(
        cls, answers: pl.DataFrame, prompts: Path, language_model: LanguageModel, budget: int
    ) -> QuestionBatch:
        """Those of `answers`, as they are asked in a prompt set."""
        rows = [*iter_prompts(prompts, {*answers["row"]})]
        return cls(answers, rows, forward_of(rows, language_model, budget), budget)

    def reprompted(self, rewrite: Callable[[Row], tuple[Turn, ...]]) -> QuestionBatch:
        """The same questions in other words."""
        turns = [(rewrite(row), row.answers) for row in self.rows]
        return replace(self, again=IntervenedForward(self.forward.model, turns, self.budget))

    def log_odds(
        self,
        interventions: Sequence[Intervention] = (NO_INTERVENTION,),
        done: Callable[[int], object] = lambda _: None,
    ) -> Floats:
        """(interventions, n): of the sycophantic answer; `done` is told how many are known more."""
        odds = np.empty((len(interventions), len(self.rows)))
        for n, places, logprobs in self.forward.logprobs(interventions):
            odds[n, places] = self.log_odds_of(places, logprobs)
            done(len(places))
        return odds

    def log_odds_of(self, places: Sequence[int], logprobs: Sequence[Sequence[float]]) -> list[float]:
        """Of the sycophantic answer to each of the questions at `places`, from its answers'."""
        return [log_odds(self.rows[at], each) for at, each in zip(places, logprobs, strict=True)]


def forward_of(rows: Sequence[Row], language_model: LanguageModel, budget: int) -> IntervenedForward:
    """As the prompt set has them."""
    return IntervenedForward(language_model, [(row.messages, row.answers) for row in rows], budget)
