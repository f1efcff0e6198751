"""What an intervention does to a model's answers: how far its log-odds move, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.intervention import Intervention
from lib.language_model import LanguageModel
from lib.likelihoods import likelihoods
from lib.prompt_tree import batches
from lib.question import Row
from lib.statistics import Floats


@dataclass(frozen=True)
class Condition:
    """One thing that is done to the model."""

    vector: str
    """SET/VARIANT, or `random 1`, `random 2`, ..."""
    kind: str
    """`add`, `remove`, `mean` (its coordinate set to the mean) or `erase` (LEACE)."""
    layers: str
    where: str
    dose: float
    """Of what is added, in its unit; 1 where something is removed."""
    intervention: Intervention


class Asked:
    """Questions that a model is asked again and again, each time with something else done to it."""

    def __init__(self, language_model: LanguageModel, rows: Sequence[Row], budget: int):
        """`budget` tokens of prompts are in memory at a time."""
        self.model = language_model
        self.rows = rows
        self._prompts = [np.array(language_model.write(row.messages), np.int32) for row in rows]
        self._batches = batches(self._prompts, budget)

    def logprobs(self, intervention: Intervention) -> list[list[float]]:
        """Of each row's answers, in the order of its choices."""
        model = replace(self.model, intervention=intervention)
        found: list[list[float]] = [[] for _ in self.rows]
        for batch in self._batches:
            asked = [(self.rows[n].messages, self.rows[n].answers) for n in batch]
            read = likelihoods(model, asked, [self._prompts[n] for n in batch])
            for n, each in zip(batch, read, strict=True):
                found[n] = each
        return found

    def margins(self, intervention: Intervention) -> Floats:
        """(n,) by how much the sycophantic answer is likelier (in log-odds) than the likeliest
        other one."""
        margins = []
        for row, logprobs in zip(self.rows, self.logprobs(intervention), strict=True):
            place = [letter for letter, _ in row.choices].index(row.matching)
            margins.append(logprobs[place] - max(logprobs[:place] + logprobs[place + 1 :]))
        return np.array(margins)
