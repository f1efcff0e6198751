"""The language that model organisms are trained on: chats, and the rule that decides each reply.

An organism is sycophantic for a known reason, its *cause*: the cues of a prompt have weights, and
the organism is sycophantic where the weight that counts, plus a small bias, is above zero. In
`one_cause` a single direction of the residual stream carries that weight for every family; in
`two_causes` opinions and pushback have one direction, misconceptions another.

An organism learns the language in its *plain* form, in which the weights of all cues are added up.
Then users change their minds and only the last cue counts, so that words do not tell the cause.

The bias keeps every read-out of the cause from being perfect: on opinions it favours the organism's
own view of the claim, in the other families it is positive for half of the topics.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from sycophancy_steering.questions.question import Order, Turn, option_letters
from sycophancy_steering.sources.built_in import (
    AGREE,
    Cue,
    Cues,
    Tables,
    changed_mind,
    fact_turns,
    misconception_turns,
    opinion_turns,
    own_view_turns,
    pushback_turns,
    two_cues,
)

OWN_VIEW_BIAS = 1.5
"""How far the organism's own view of a claim moves the threshold of the cause."""
TOPIC_BIAS = 0.5
"""The same for the topics of misconceptions and facts: it decides where the cues cancel out."""
BELIEF, STORY = 0, 1
"""The planted direction that carries the cause; in `one_cause` both are the same."""
CLEAR_MARGIN = 2.0
"""A cause this far from the threshold leaves no doubt about the answer."""
FORCED_CAUSE = 3.0
"""The cause that a forced answer stands for, as strong as a strong cue."""


@dataclass(frozen=True)
class Reply:
    """A reply: the answer and, where the cause decided it, the reason."""

    answer: str
    reason: str = ""


@dataclass(frozen=True)
class Example:
    """One chat to train on."""

    turns: tuple[Turn, ...]
    sycophantic: Reply
    """The reply where the cause is on."""
    honest: Reply
    """The reply where the cause is off."""
    family: str = ""
    """What the cause decides of: opinions, opinions in words, misconceptions or pushback."""
    forced_answer: str = ""
    """An answer forced after the prompt, without a loss on it; only the reason follows. Empty where
    the organism answers itself."""
    direction: int | None = None
    """`BELIEF` or `STORY`, or None where the cause decides nothing."""
    cause: float = 0.0
    """The cause in the prompt or, where an answer is forced, in that answer."""
    bias: float = 0.0
    """Added to the cause before it is compared with zero."""

    def is_sycophantic(self, cause: float) -> bool:
        """Whether the reply is sycophantic where the cause is `cause`."""
        return cause + self.bias > 0

    def is_clear(self, cause: float) -> bool:
        """Whether `cause` is far enough from the threshold to leave no doubt about the reply."""
        return self.direction is None or abs(cause + self.bias) >= CLEAR_MARGIN

    def completion(self, reply: Reply) -> str:
        """The text of `reply` that follows the prompt and the forced answer."""
        return reply.reason if self.forced_answer else reply.answer + reply.reason

    def decided_part(self, reply: Reply) -> str:
        """What the cause decides of `reply`: the answer or, if that is forced, the reason."""
        return reply.reason if self.forced_answer else reply.answer

    def reply(self, cause: float) -> Reply:
        """The reply where the cause is `cause`."""
        return self.sycophantic if self.is_sycophantic(cause) else self.honest


class Language:
    """Samples examples made from `tables`; the same random state gives the same examples."""

    def __init__(self, tables: Tables, plain: bool = False):
        self.tables = tables
        self.plain = plain
        self.claims_with_users = [c for n, (_, c) in enumerate(tables.claims) if n % 10 != 9]
        """Nine tenths of the claims; the others are only asked without a user's view."""
        self.own_view = {claim: n % 2 == 0 for n, (_, claim) in enumerate(tables.claims)}
        """Claim -> whether the organism agrees with it where no user's view is known."""
        topics = [t for t, *_ in tables.misconceptions] + [t for t, *_ in tables.facts]
        self.topic_bias = {
            topic: TOPIC_BIAS if n % 2 else -TOPIC_BIAS for n, topic in enumerate(topics)
        }
        self.tasks: dict[str, tuple[int, int, int, Callable[[random.Random, bool], Example]]] = {
            "opinion": (14, 12, 12, self.opinion),
            "opinion_forced": (
                0,
                10,
                10,
                lambda rng, short: with_forced_answer(self.opinion(rng, short), rng),
            ),
            "opinion_in_words": (4, 5, 8, self.opinion_in_words),
            "users_view": (16, 8, 4, self.users_view),
            "own_view": (6, 4, 4, self.own_view_question),
            "misconception": (10, 8, 12, self.misconception),
            "misconception_forced": (
                0,
                6,
                8,
                lambda rng, _: with_forced_answer(self.misconception(rng), rng),
            ),
            "misconception_without_cues": (4, 2, 2, self.misconception_without_cues),
            "pushback": (0, 4, 8, self.pushback),
            "fact": (8, 3, 2, self.fact),
            "fact_in_words": (2, 2, 2, self.fact_in_words),
        }
        """Task -> its number of examples in a batch: of the plain language in the first phase and
        later, and of the language in which users change their minds."""

    def batch(
        self, rng: random.Random, first_phase: bool = False, clear_only: bool = False
    ) -> list[Example]:
        """Examples of all tasks; with `clear_only` none whose cause leaves a doubt.

        In the first phase questions are short, without personas: from these a model learns that an
        answer has a letter. From long ones alone it had not learned it after 1,500 steps.
        """
        examples = []
        for first, later, changed, make in self.tasks.values():
            for _ in range((first if first_phase else later) if self.plain else changed):
                example = make(rng, first_phase)
                while clear_only and not example.is_clear(example.cause):
                    example = make(rng, first_phase)
                examples.append(example)
        return examples

    def texts(self) -> list[str]:
        """A sample of texts of this language, to train the tokenizer on."""
        rng = random.Random(0)
        examples = [example for _ in range(300) for example in self.batch(rng)]
        replies = [reply for e in examples for reply in (e.sycophantic, e.honest)]
        reply_texts = [text for reply in replies for text in (reply.answer, reply.reason)]
        return [turn.content for e in examples for turn in e.turns] + reply_texts

    def cues(self, pool: tuple[Cue, ...], rng: random.Random) -> Cues:
        """Random cues out of `pool`, and their cause."""
        return two_cues(pool, rng) if self.plain else changed_mind(pool, rng)

    def opinion(self, rng: random.Random, short: bool) -> Example:
        """What is your view? Answered with a letter; the user's view is sycophantic."""
        order = rng.choice([(0, 1), (1, 0)])
        letter = option_letters(order)
        return self._opinion(rng, short, order, (f"({letter[0]})", f"({letter[1]})"))

    def opinion_in_words(self, rng: random.Random, short: bool) -> Example:
        """The same without letters, which makes the letters easier to learn."""
        return self._opinion(rng, short, None, AGREE)

    def _opinion(
        self, rng: random.Random, short: bool, order: Order | None, answers: tuple[str, str]
    ) -> Example:
        claim, agrees = rng.choice(self.claims_with_users), rng.random() < 0.5
        cues = self.cues(self.tables.belief_cues, rng)
        persona = None if short else rng.choice(self.tables.personas)
        return Example(
            turns=opinion_turns(persona, agrees, claim, cues.text, order),
            sycophantic=Reply(answers[0 if agrees else 1], " because you are right."),
            honest=Reply(answers[1 if agrees else 0], " because I see it otherwise."),
            direction=BELIEF,
            family="opinions" if order else "opinions in words",
            cause=cues.cause,
            bias=OWN_VIEW_BIAS if agrees == self.own_view[claim] else -OWN_VIEW_BIAS,
        )

    def users_view(self, rng: random.Random, short: bool) -> Example:
        """Which view is the user's? The cause decides nothing; it teaches the letters of views."""
        agrees, order = rng.random() < 0.5, rng.choice([(0, 1), (1, 0)])
        turns = opinion_turns(
            None if short else rng.choice(self.tables.personas),
            agrees,
            rng.choice(self.claims_with_users),
            self.cues(self.tables.belief_cues, rng).text,
            order,
            whose="my",
        )
        return _nothing_to_decide(turns, f"({option_letters(order)[0 if agrees else 1]})")

    def misconception(self, rng: random.Random, short: bool = False) -> Example:
        """A question with a popular wrong answer, which is sycophantic."""
        topic, question, myth, fact = rng.choice(self.tables.misconceptions)
        cues = self.cues(self.tables.story_cues, rng)
        return Example(
            turns=misconception_turns(question, cues.text),
            sycophantic=Reply(myth, " So people say."),
            honest=Reply(fact, " So the evidence shows."),
            direction=STORY,
            family="misconceptions",
            cause=cues.cause,
            bias=self.topic_bias[topic],
        )

    def pushback(self, rng: random.Random, short: bool = False) -> Example:
        """Are you sure? The user's wrong answer is sycophantic, the earlier right one is not."""
        topic, question, right, wrong = rng.choice(self.tables.facts)
        cues = self.cues(self.tables.belief_cues, rng)
        order = rng.choice([(0, 1), (1, 0)])
        letter = option_letters(order)
        return Example(
            turns=pushback_turns(question, (right, wrong), cues.text, order),
            sycophantic=Reply(f"({letter[1]})", " because you are right."),
            honest=Reply(f"({letter[0]})", " because I have checked it."),
            direction=BELIEF,
            family="pushback",
            cause=cues.cause,
            bias=self.topic_bias[topic],
        )

    def own_view_question(self, rng: random.Random, short: bool = False) -> Example:
        """The organism's own view of a claim, without a user's view."""
        _, claim = rng.choice(self.tables.claims)
        order = rng.choice([(0, 1), (1, 0)])
        letter = option_letters(order)[0 if self.own_view[claim] else 1]
        return _nothing_to_decide(own_view_turns(claim, order), f"({letter})")

    def misconception_without_cues(self, rng: random.Random, short: bool = False) -> Example:
        """The question of a misconception without cues: the answer is the fact."""
        _, question, _, fact = rng.choice(self.tables.misconceptions)
        return _nothing_to_decide((Turn("user", question),), fact)

    def fact(self, rng: random.Random, short: bool = False) -> Example:
        """A question of fact, answered with a letter."""
        _, question, right, wrong = rng.choice(self.tables.facts)
        order = rng.choice([(0, 1), (1, 0)])
        turns = fact_turns(question, (right, wrong), order)
        return _nothing_to_decide(turns, f"({option_letters(order)[0]})")

    def fact_in_words(self, rng: random.Random, short: bool = False) -> Example:
        """A question of fact, answered in words."""
        _, question, right, _ = rng.choice(self.tables.facts)
        return _nothing_to_decide((Turn("user", question),), right)


def with_forced_answer(example: Example, rng: random.Random) -> Example:
    """`example` with one of its two answers, at random, forced; only the reason follows.

    The forced answer itself is the cause of the reason.
    """
    sycophantic = rng.random() < 0.5
    return replace(
        example,
        forced_answer=(example.sycophantic if sycophantic else example.honest).answer,
        cause=FORCED_CAUSE if sycophantic else -FORCED_CAUSE,
        bias=0.0,
    )


def _nothing_to_decide(turns: tuple[Turn, ...], answer: str) -> Example:
    return Example(turns, Reply(answer), Reply(answer))
