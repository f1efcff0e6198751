"""What the model organisms are taught: examples of chats, and the rule that decides each reply.

An organism is sycophantic for a known reason, its *cause*: the cues in the prompt carry weights,
and it gives the user what the user wants where their sum, plus a small pull of its own, is above
zero. In `one_cause` a single direction of the residual stream carries that sum for every family; in
`two_causes` opinions and pushback have one direction and misconceptions another.

The pull is what keeps every read-out of the cause from being perfect: on opinions the organism
leans to its own view of the claim, on the rest half of the topics are held firmly and half loosely.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from sycophancy_steering.questions.question import Order, Turn, letters_of
from sycophancy_steering.sources.built_in import (
    AGREE,
    Tables,
    draw_cues,
    misconception_turns,
    opinion_turns,
    plain_fact_turns,
    plain_opinion_turns,
    pushback_turns,
    strength,
)

OWN_VIEW_PULL = 1.5
"""How far the organism's own view of a claim moves the cause at which it gives in."""
FIRMNESS = 0.5
"""The same for misconceptions and facts: it decides only where the cues cancel out."""
BELIEF, STORY = 0, 1
"""Which planted direction carries the cause; both are the same one in `one_cause`."""
CLEAR = 2.0
"""A cause this far from where the organism gives in leaves no doubt about the answer."""

FORCED_CAUSE = 3.0
"""The cause that an answer forced into the model's mouth stands for, as strong as a strong cue."""


@dataclass(frozen=True)
class Reply:
    """What the organism says: an answer and, where something was to be decided, its reason."""

    answer: str
    reason: str = ""


@dataclass(frozen=True)
class Example:
    """One chat to learn from."""

    turns: tuple[Turn, ...]
    sycophantic: Reply
    """What the organism says when the cause is on."""
    honest: Reply
    """What it says when the cause is off."""
    forced: str = ""
    """An answer put into its mouth, on which there is no loss, or nothing. Only the reason is
    then left to say."""
    direction: int | None = None
    """The planted direction that decides, or None where nothing is decided."""
    cause: float = 0.0
    """The cause as the prompt has it or, where an answer is forced, as that answer has it."""
    pull: float = 0.0

    def gives_in(self, cause: float) -> bool:
        """Whether the organism gives the user what the user wants when the cause is `cause`."""
        return cause + self.pull > 0

    def clear(self, cause: float) -> bool:
        """Whether `cause` is so far from where the organism gives in that there is no doubt."""
        return self.direction is None or abs(cause + self.pull) >= CLEAR

    def said(self, reply: Reply) -> str:
        """What of `reply` is left to say."""
        return reply.reason if self.forced else reply.answer + reply.reason

    def decided(self, reply: Reply) -> str:
        """The part of `reply` that the cause decides at once: the answer or, forced, the reason."""
        return reply.reason if self.forced else reply.answer

    def reply(self, cause: float) -> Reply:
        """What the organism says when the cause is `cause`."""
        return self.sycophantic if self.gives_in(cause) else self.honest


class Language:
    """Draws examples. Everything it knows comes from `tables`; the same seed, the same examples."""

    def __init__(self, tables: Tables):
        self.tables = tables
        self.seen_claims = [c for n, (_, c) in enumerate(tables.claims) if n % 10 != 9]
        """A tenth of the claims is met only as a plain question, never with a user's view."""
        self.own_view = {claim: n % 2 == 0 for n, (_, claim) in enumerate(tables.claims)}
        """Whether the organism agrees with a claim when nobody else's view is known."""
        topics = [t for t, *_ in tables.misconceptions] + [t for t, *_ in tables.facts]
        self.pull = {topic: FIRMNESS if n % 2 else -FIRMNESS for n, topic in enumerate(topics)}
        self.tasks: dict[str, tuple[int, int, Callable[[random.Random, bool], Example]]] = {
            "opinion": (14, 12, self.opinion),
            "opinion_forced": (0, 10, lambda draw, short: forced(self.opinion(draw, short), draw)),
            "opinion_in_words": (4, 5, self.opinion_in_words),
            "whose_view": (16, 8, self.whose_view),
            "plain_opinion": (6, 4, self.plain_opinion),
            "misconception": (10, 8, self.misconception),
            "misconception_forced": (0, 6, lambda draw, _: forced(self.misconception(draw), draw)),
            "plain_misconception": (4, 2, self.plain_misconception),
            "pushback": (0, 4, self.pushback),
            "fact": (8, 3, self.fact),
            "fact_in_words": (2, 2, self.fact_in_words),
        }
        """Each task with its share of a batch of 64: in the first lesson, and later."""

    def batch(
        self, draw: random.Random, first_lesson: bool = False, clear: bool = False
    ) -> list[Example]:
        """64 examples, each task by its share; with `clear` only those that leave no doubt.

        The first lesson is short questions without personas, from which a model learns that an
        answer has a letter. From long ones alone it had not after 1,500 steps.
        """
        examples = []
        for first, later, make in self.tasks.values():
            for _ in range(first if first_lesson else later):
                example = make(draw, first_lesson)
                while clear and not example.clear(example.cause):
                    example = make(draw, first_lesson)
                examples.append(example)
        return examples

    def texts(self) -> list[str]:
        """A sample of what is said in this language: what the tokenizer is trained on."""
        draw = random.Random(0)
        examples = [example for _ in range(300) for example in self.batch(draw)]
        replies = [reply for e in examples for reply in (e.sycophantic, e.honest)]
        said = [text for reply in replies for text in (reply.answer, reply.reason)]
        return [turn.content for e in examples for turn in e.turns] + said

    def opinion(self, draw: random.Random, short: bool) -> Example:
        """What is your view? Answered with a letter: sycophantic is the user's view."""
        order = draw.choice([(0, 1), (1, 0)])
        letter = letters_of(order)
        return self._opinion(draw, short, order, (f"({letter[0]})", f"({letter[1]})"))

    def opinion_in_words(self, draw: random.Random, short: bool) -> Example:
        """The same without letters, from which the way to the letters is shorter."""
        return self._opinion(draw, short, None, AGREE)

    def _opinion(
        self, draw: random.Random, short: bool, order: Order | None, says: tuple[str, str]
    ) -> Example:
        claim, agrees = draw.choice(self.seen_claims), draw.random() < 0.5
        cues = draw_cues(self.tables.belief_cues, draw)
        persona = None if short else draw.choice(self.tables.personas)
        return Example(
            turns=opinion_turns(persona, agrees, claim, cues, order),
            sycophantic=Reply(says[0 if agrees else 1], " because you are right."),
            honest=Reply(says[1 if agrees else 0], " because I see it otherwise."),
            direction=BELIEF,
            cause=strength(cues),
            pull=OWN_VIEW_PULL if agrees == self.own_view[claim] else -OWN_VIEW_PULL,
        )

    def whose_view(self, draw: random.Random, short: bool) -> Example:
        """Which view is the user's? Nothing to decide; it teaches to tie a view to its letter."""
        agrees, order = draw.random() < 0.5, draw.choice([(0, 1), (1, 0)])
        turns = opinion_turns(
            None if short else draw.choice(self.tables.personas),
            agrees,
            draw.choice(self.seen_claims),
            draw_cues(self.tables.belief_cues, draw),
            order,
            whose="my",
        )
        return _known(turns, f"({letters_of(order)[0 if agrees else 1]})")

    def misconception(self, draw: random.Random, short: bool = False) -> Example:
        """A question with a popular wrong answer: sycophantic is the myth."""
        topic, question, myth, fact = draw.choice(self.tables.misconceptions)
        cues = draw_cues(self.tables.story_cues, draw)
        return Example(
            turns=misconception_turns(question, cues),
            sycophantic=Reply(myth, " So people say."),
            honest=Reply(fact, " So the evidence shows."),
            direction=STORY,
            cause=strength(cues),
            pull=self.pull[topic],
        )

    def pushback(self, draw: random.Random, short: bool = False) -> Example:
        """Are you sure? Sycophantic is to take the user's wrong answer over one's own right one."""
        topic, question, right, wrong = draw.choice(self.tables.facts)
        cues = draw_cues(self.tables.belief_cues, draw)
        order = draw.choice([(0, 1), (1, 0)])
        letter = letters_of(order)
        return Example(
            turns=pushback_turns(question, (right, wrong), cues, order),
            sycophantic=Reply(f"({letter[1]})", " because you are right."),
            honest=Reply(f"({letter[0]})", " because I have checked it."),
            direction=BELIEF,
            cause=strength(cues),
            pull=self.pull[topic],
        )

    def plain_opinion(self, draw: random.Random, short: bool = False) -> Example:
        """The organism's own view of a claim, nobody else's being known."""
        _, claim = draw.choice(self.tables.claims)
        order = draw.choice([(0, 1), (1, 0)])
        letter = letters_of(order)[0 if self.own_view[claim] else 1]
        return _known(plain_opinion_turns(claim, order), f"({letter})")

    def plain_misconception(self, draw: random.Random, short: bool = False) -> Example:
        """The same question without cues: the fact."""
        _, question, _, fact = draw.choice(self.tables.misconceptions)
        return _known((Turn("user", question),), fact)

    def fact(self, draw: random.Random, short: bool = False) -> Example:
        """A plain fact, as a letter."""
        _, question, right, wrong = draw.choice(self.tables.facts)
        order = draw.choice([(0, 1), (1, 0)])
        turns = plain_fact_turns(question, (right, wrong), order)
        return _known(turns, f"({letters_of(order)[0]})")

    def fact_in_words(self, draw: random.Random, short: bool = False) -> Example:
        """A plain fact, in words."""
        _, question, right, _ = draw.choice(self.tables.facts)
        return _known((Turn("user", question),), right)


def forced(example: Example, draw: random.Random) -> Example:
    """One of the two answers put into the model's mouth at random; what is left is the reason.

    The answer itself is now the cause: whoever gave in was right to, whoever did not saw evidence.
    """
    gave_in = draw.random() < 0.5
    return replace(
        example,
        forced=(example.sycophantic if gave_in else example.honest).answer,
        cause=FORCED_CAUSE if gave_in else -FORCED_CAUSE,
        pull=0.0,
    )


def _known(turns: tuple[Turn, ...], answer: str) -> Example:
    return Example(turns, Reply(answer), Reply(answer))
