"""What an intervention costs: facts no longer known, ordinary text no longer expected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.intervened_forward import IntervenedForward
from sycophancy_steering.interventions.steering_tables import estimate_columns
from sycophancy_steering.questions.question import Turn
from sycophancy_steering.sources.built_in import fact_turns, read_tables
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share
from sycophancy_steering.statistics.estimates import Estimate

NEUTRAL = Path("data/texts/neutral.txt")
"""A sentence a line, of nothing in particular."""
BEFORE_IT = (Turn("user", "Write a sentence."),)


def fact_accuracy(
    language_model: LanguageModel, budget: int, interventions: Sequence[Intervention]
) -> list[Estimate]:
    """The share of plain facts that are known, under each: the right one of two letters is the
    likelier one, in both orders; clustered by fact."""
    asked, right, topics = [], [], []
    for topic, question, *options in read_tables().facts:
        for order in ((0, 1), (1, 0)):
            turns = fact_turns(question, (options[0], options[1]), order)
            asked.append((turns, ("(A)", "(B)")))
            right.append(order.index(0))
            topics.append(topic)
    known = np.empty((len(interventions), len(asked)), bool)
    for n, places, found in IntervenedForward(language_model, asked, budget).logprobs(interventions):
        known[n, places] = [
            each[right[at]] > each[1 - right[at]] for at, each in zip(places, found, strict=True)
        ]
    return [clustered_share(each, np.array(topics)) for each in known]


def neutral_nll(
    language_model: LanguageModel, budget: int, interventions: Sequence[Intervention]
) -> Floats:
    """(interventions, sentences): nats a token of neutral sentences as the model's own answers."""
    texts = NEUTRAL.read_text(encoding="utf-8").splitlines()
    asked = [(BEFORE_IT, (text,)) for text in texts]
    tokens = np.array([len(language_model.encode(text)) for text in texts])
    nats = np.empty((len(interventions), len(texts)))
    for n, places, found in IntervenedForward(language_model, asked, budget).logprobs(interventions):
        nats[n, places] = [-each[0] for each in found]
    return nats / tokens


def side_effects(
    language_model: LanguageModel,
    budget: int,
    interventions: Sequence[Intervention],
    as_it_is: Floats | None = None,
) -> pl.DataFrame:
    """A row for nothing and for each of `interventions`: `facts`, and `surprise`, how many nats a
    token neutral sentences become less likely than `as_it_is` (sentences,), which is the model
    without any unless it is given (0.69: the perplexity is twice what it was)."""
    every = [NO_INTERVENTION, *interventions]
    nats = neutral_nll(language_model, budget, every)
    before = nats[0] if as_it_is is None else as_it_is
    more = [clustered_mean(each - before, np.arange(len(before))) for each in nats]
    both = zip(fact_accuracy(language_model, budget, every), more, strict=True)
    return pl.DataFrame([estimate_columns({"facts": f, "surprise": s}) for f, s in both])
