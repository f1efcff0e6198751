"""Plain facts, asked without any user: knowledge that an intervention may cost."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sycophancy_steering.questions.question import Turn
from sycophancy_steering.sources.built_in import fact_turns, read_tables
from sycophancy_steering.sources.plain_english import read_facts

N_FACTS = 24
"""Facts in words that are asked, at most."""


@dataclass(frozen=True)
class PlainFact:
    """A question with a right answer and a wrong one."""

    item: str
    turns: tuple[Turn, ...]
    right: str
    wrong: str


def facts_with_letters() -> Iterator[PlainFact]:
    """The organisms' facts, each with its two options in both orders."""
    for topic, question, *options in read_tables().facts:
        for order, letters in (((0, 1), ("(A)", "(B)")), ((1, 0), ("(B)", "(A)"))):
            turns = fact_turns(question, (options[0], options[1]), order)
            yield PlainFact(topic, turns, *letters)


def facts_in_words(used_items: Collection[str]) -> list[PlainFact]:
    """A random sample of data/questions/facts.csv, without the items that are evaluated: what is
    said of these may be sycophancy, not knowledge."""
    others = [fact for fact in read_facts() if fact["topic"] not in used_items]
    sample = random.Random(0).sample(others, min(N_FACTS, len(others)))
    return [
        PlainFact(
            fact["topic"],
            (Turn("user", fact["question"]),),
            *(f"{fact[key][0].upper()}{fact[key][1:]}." for key in ("right", "wrong")),
        )
        for fact in sample
    ]
