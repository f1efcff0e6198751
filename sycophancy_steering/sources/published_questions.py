"""Questions made from published records: opinions and misconceptions, lettered or free."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial

from sycophancy_steering.questions.question import LETTERS, Order, Question, Turn
from sycophancy_steering.sources.lettered_options import LetteredText
from sycophancy_steering.sources.records import Record, listed

SPACED = " ({letter})"
"""How Anthropic writes an answer: with the space that follows `Answer:`."""
BARE = "({letter})"
"""How Rimsky et al. write an answer."""

MATCHING, NOT_MATCHING = "answer_matching_behavior", "answer_not_matching_behavior"
LABELLED = ("question", MATCHING, NOT_MATCHING)
"""Keys of Anthropic's records, and of those made from them."""

_CLAIM = r"(?P<persona>.*)\bDo you agree or disagree with the following claim\b[^?]*\? (?P<item>.+)"
_TOPIC = r"(?P<persona>.*)\bWhat is your view on the following topic: (?P<item>.+)"
_STATEMENT = r"(?P<persona>.*)\nAs my AI assistant, do you agree [^\n]*\?\n(?P<item>.+)"
_PAIR = r"(?P<persona>.*)\nAs my AI assistant, which of the following choices [^\n]*\?"
_OPTIONS = r"(?P<persona>.*)\nHow about you, which option [^\n]*\?"
STEMS = {
    # Anthropic's NLP survey, then PhilPapers, then Rimsky's single statements: the item follows.
    "Do you agree or disagree with": re.compile(_CLAIM, re.DOTALL),
    "What is your view on": re.compile(_TOPIC, re.DOTALL),
    "As my AI assistant, do you agree": re.compile(_STATEMENT, re.DOTALL),
    # Rimsky's pairs of statements: the options are the item.
    "As my AI assistant, which of": re.compile(_PAIR, re.DOTALL),
    "How about you, which option": re.compile(_OPTIONS, re.DOTALL),
}
"""Words -> the biography (persona) and the item around them. `.*` is greedy: the last match counts,
so a biography may quote the question."""

SENTENCE_START = re.compile(r"(?<=[.!?])[\"')]* +(?=[A-Z\"'])|\n+")


def user_turns(lettered: LetteredText, order: Order) -> tuple[Turn, ...]:
    """A user turn with the options."""
    return (Turn("user", lettered.write(order)),)


def same_turns(words: str, order: Order) -> tuple[Turn, ...]:
    """A user turn without options."""
    return (Turn("user", words),)


def option_pair(options: tuple[str, ...]) -> str:
    """The options as one item, whatever the order in which a row shows them."""
    return " / ".join(sorted(option.strip() for option in options))


@dataclass(frozen=True)
class OpinionParts:
    """The parts of the text before the options."""

    persona: str
    item: str
    """The claim, topic or question that is asked about, without the biography."""
    question_start: int
    """Index in the text before the options at which the question begins."""


INTRODUCTION = re.compile(
    r"\s*(?:(?i:hello|hi|hey|greetings)\b(?: there)?[,.!]?\s+)?"
    r"(?:(?i:my name is) |(?:I am|I'm|I’m) (?=[A-Z]))"
)
"""How a biography begins where no stem shows where it ends: with a name. "I am going to ..." is a
scenario."""


def split_opinion(lettered: LetteredText) -> OpinionParts | None:
    """The persona and the item of an opinion question; None where no user shows.

    `STEMS` has the words between the two. Where none of them occurs (the political quiz), the text
    has to begin with an `INTRODUCTION`, and its last sentence is the question. Such sentences recur
    with other options, so the sentence and the options are the item: in the published file this
    gives its 17 questions. A biography that ends without a full stop would run into the question.
    """
    head = lettered.stem
    for words, stem in STEMS.items():
        if words in head and (match := stem.fullmatch(head)):
            item = match.groupdict().get("item") or option_pair(lettered.options)
            return OpinionParts(match["persona"].strip(), item.strip(), match.end("persona"))
    starts = [match.end() for match in SENTENCE_START.finditer(head.rstrip())]
    if not starts or not INTRODUCTION.match(head):
        return None
    item = f"{head[starts[-1] :].strip()} {option_pair(lettered.options)}"
    return OpinionParts(head[: starts[-1]].strip(), item, starts[-1])


def options_named(record: Record, key: str, lettered: LetteredText, answer: str) -> tuple[int, ...]:
    """Indices of the options that `key` names: one answer, or a list, in the format `answer`."""
    known = {answer.format(letter=LETTERS[k]): k for k in range(len(lettered.options))}
    value = record.fields.get(key)
    answers = value if isinstance(value, list) else [value]
    named = [known.get(one) if isinstance(one, str) else None for one in answers]
    if not named or None in named:
        raise record.error(key, f"an answer among the choices {listed([*known])}")
    return tuple(option for option in named if option is not None)


@dataclass(frozen=True)
class Labelled:
    """Which options a record calls sycophantic, or matching, and which it does not."""

    matching: int
    others: tuple[int, ...]

    def not_matching(self, n_options: int) -> tuple[int, ...] | None:
        """`Question.not_matching`: None where all the options are labelled."""
        return None if len(self.others) == n_options - 1 else self.others


def labelled_options(
    record: Record, matching_key: str, other_key: str, lettered: LetteredText, answer: str
) -> Labelled:
    """The option that `matching_key` names, and the ones that `other_key` does."""
    matching = options_named(record, matching_key, lettered, answer)
    others = options_named(record, other_key, lettered, answer)
    if len(matching) != 1:
        raise record.error(matching_key, "one answer")
    if matching[0] in others:
        raise record.error(other_key, f"no answer that is also in {matching_key!r}")
    return Labelled(matching[0], tuple(dict.fromkeys(others)))


def sycophantic_option(
    record: Record, matching_key: str, other_key: str, lettered: LetteredText, answer: str
) -> int:
    """Index of the option that `matching_key` names; `other_key` must name all the others."""
    labelled = labelled_options(record, matching_key, other_key, lettered, answer)
    if labelled.not_matching(len(lettered.options)) is not None:
        raise record.error(other_key, f"every choice that is not in {matching_key!r}")
    return labelled.matching


def lettered_opinion(
    record: Record, lettered: LetteredText, matching: int, answer: str
) -> Question:
    """A user with a view asks for the model's view.

    Where no user shows, there is no persona, the question without its user is not asked, and the
    family is the file's name.
    """
    opinion = split_opinion(lettered)
    if opinion is None:
        item = f"{lettered.stem.strip()} {option_pair(lettered.options)}"
        return lettered_question(record, record.source, item, lettered, matching, answer)
    without_user = replace(lettered, before=lettered.before[opinion.question_start :].lstrip())
    return Question(
        source=record.source,
        family="opinion",
        item=opinion.item,
        persona=opinion.persona,
        options=lettered.options,
        matching=matching,
        write=partial(user_turns, lettered),
        answer_format=answer,
        write_without_user=partial(user_turns, without_user) if opinion.persona else None,
    )


def lettered_misconception(
    record: Record, item: str, lettered: LetteredText, matching: int, answer: str
) -> Question:
    """A question with a popular wrong answer, with its options."""
    return lettered_question(record, "misconception", item, lettered, matching, answer)


def lettered_question(
    record: Record, family: str, item: str, lettered: LetteredText, matching: int, answer: str
) -> Question:
    """A question with its options, asked by nobody in particular."""
    return Question(
        source=record.source,
        family=family,
        item=item.strip(),
        persona="",
        options=lettered.options,
        matching=matching,
        write=partial(user_turns, lettered),
        answer_format=answer,
    )


def free_question(
    record: Record, family: str, words: str, options: tuple[str, str], matching: int
) -> Question:
    """A question that shows no options; its words are the item.

    For opinions too: their two completions are written for the words of one user, so they say no
    more about the item than those words.
    """
    return Question(
        source=record.source,
        family=family,
        item=words.strip(),
        persona="",
        options=options,
        matching=matching,
        write=partial(same_turns, words),
        form="free",
        answer_format="{text}",
    )


def labelled_question(record: Record, answer: str) -> Question:
    """From `question` with options in it, and the answers that match the user's view or do not."""
    lettered = LetteredText.parse(record.text("question"), record.location_of("question"))
    matching = sycophantic_option(record, MATCHING, NOT_MATCHING, lettered, answer)
    # Rimsky's copy of TruthfulQA has the keys of an opinion; only there the line is "Your ...".
    if lettered.before.endswith("\n\nYour choices:\n"):
        return lettered_misconception(record, lettered.stem, lettered, matching, answer)
    return lettered_opinion(record, lettered, matching, answer)
