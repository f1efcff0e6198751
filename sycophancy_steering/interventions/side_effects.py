"""What an intervention costs: knowledge of facts, and the likelihood of ordinary text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.workers import Workers
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.intervened_forward import IntervenedForward
from sycophancy_steering.interventions.plain_facts import PlainFact
from sycophancy_steering.questions.question import Turn
from sycophancy_steering.schemas.interventions import COST_COLUMNS
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share
from sycophancy_steering.statistics.estimates import Estimate, row_of

NEUTRAL = Path("data/texts/neutral.txt")
"""Sentences about everyday things, one a line."""
NEUTRAL_PROMPT = (Turn("user", "Write a sentence."),)


def fact_accuracy(
    workers: Workers,
    interventions: Sequence[Intervention],
    facts: Sequence[PlainFact],
) -> list[Estimate]:
    """The share of plain facts known under each intervention, clustered by fact: the right answer
    has to be more likely than the wrong one."""
    known = np.empty((len(interventions), len(facts)), bool)
    chats = [(fact.turns, (fact.right, fact.wrong)) for fact in facts]
    forward = IntervenedForward(workers, chats)
    for number, indices, logprobs in forward.logprobs(interventions):
        known[number, indices] = [right > wrong for right, wrong in logprobs]
    items = np.array([fact.item for fact in facts])
    return [clustered_share(of_intervention, items) for of_intervention in known]


def neutral_nll(workers: Workers, interventions: Sequence[Intervention]) -> Floats:
    """(interventions, sentences): negative log-likelihood of neutral sentences as the model's own
    responses, in nats per token."""
    sentences = NEUTRAL.read_text(encoding="utf-8").splitlines()
    chats = [(NEUTRAL_PROMPT, (sentence,)) for sentence in sentences]
    n_tokens = np.array([len(workers.language_model.encode(sentence)) for sentence in sentences])
    nats = np.empty((len(interventions), len(sentences)))
    forward = IntervenedForward(workers, chats)
    for number, indices, logprobs in forward.logprobs(interventions):
        nats[number, indices] = [-of_sentence[0] for of_sentence in logprobs]
    return nats / n_tokens


def side_effects(
    workers: Workers,
    interventions: Sequence[Intervention],
    facts: Sequence[PlainFact],
    baseline_nll: Floats | None = None,
) -> pl.DataFrame:
    """A row for no intervention and for each of `interventions`.

    `neutral_nll` is the increase over `baseline_nll` (sentences,), by default that of the model
    without an intervention: 0.69 means twice the perplexity.
    """
    conditions = [NO_INTERVENTION, *interventions]
    nll = neutral_nll(workers, conditions)
    baseline = nll[0] if baseline_nll is None else baseline_nll
    sentences = np.arange(len(baseline))
    accuracies = fact_accuracy(workers, conditions, facts)
    rows = [
        row_of(
            {"fact_accuracy": accuracy, "neutral_nll": clustered_mean(nats - baseline, sentences)}
        )
        for accuracy, nats in zip(accuracies, nll, strict=True)
    ]
    return pl.DataFrame(rows, schema=COST_COLUMNS)
