"""Plain facts that an intervention may cost: how they are asked, and which."""

from __future__ import annotations

import numpy as np
import pytest
from plain_pass import logprob_of
from tiny_models import tiny

from sycophancy_steering.engine.intervention import NO_INTERVENTION
from sycophancy_steering.engine.workers import LocalWorkers
from sycophancy_steering.interventions.plain_facts import (
    N_FACTS,
    facts_in_words,
    facts_with_letters,
)
from sycophancy_steering.interventions.side_effects import fact_accuracy
from sycophancy_steering.sources.plain_english import read_facts


def test_facts_in_words_are_none_that_are_evaluated():
    everything = {fact["topic"] for fact in read_facts()}
    used = set(sorted(everything)[::2])
    facts = facts_in_words(used)
    assert len(facts) == N_FACTS == len({fact.item for fact in facts})
    assert not used & {fact.item for fact in facts}
    assert facts == facts_in_words(used)
    assert facts_in_words(everything) == []
    answers = {fact["topic"]: (fact["right"], fact["wrong"]) for fact in read_facts()}
    for fact in facts:
        assert [fact.turns[-1].role, len(fact.turns)] == ["user", 1]
        right, wrong = answers[fact.item]
        assert (fact.right.lower(), fact.wrong.lower()) == (
            f"{right}.".lower(),
            f"{wrong}.".lower(),
        )


def test_facts_with_letters_are_asked_in_both_orders():
    first, second = [*facts_with_letters()][:2]
    assert first.item == second.item
    assert (first.right, first.wrong) == (second.wrong, second.right) == ("(A)", "(B)")
    assert first.turns != second.turns


@pytest.mark.parametrize("facts", [[*facts_with_letters()][:6], facts_in_words(())[:6]])
def test_a_fact_is_known_where_the_right_answer_is_more_likely(facts):
    model = tiny("llama")
    [accuracy] = fact_accuracy(LocalWorkers(model, 4096), [NO_INTERVENTION], facts)
    known = []
    for fact in facts:
        prompt = model.encode_chat(fact.turns)
        right, wrong = (
            logprob_of(model, prompt, model.encode(text)) for text in (fact.right, fact.wrong)
        )
        known.append(right > wrong)
    assert accuracy.value == pytest.approx(np.mean(known))
