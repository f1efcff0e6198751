"""Wordings of an answer, and the answer in a model's continuation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

BRACKETED = re.compile(r"\(\s*([A-Z])\s*\)")
BARE = re.compile(r"\W*([A-Z])(?![\w'’])")
"""A single capital at the beginning: "A", "B." or " A: Agree" ("A dog" is excluded below)."""
ARTICLE = re.compile(r"^(?:the|a|an) ", re.IGNORECASE)
NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
DIGITS = dict(zip(NUMBERS, map(str, range(len(NUMBERS))), strict=True))
NAMES = {digits: name for name, digits in DIGITS.items() if name != "one"}
"""Answers that are a number may be said in digits, and the other way round ("one" is a pronoun)."""


@dataclass(frozen=True)
class Answer:
    """An answer found in a text."""

    letter: str
    end: int
    """The index in the text after the answer."""


def find_answer(text: str, choices: list[tuple[str, str]], form: str) -> Answer | None:
    """The first answer in `text`, or None if it holds none.

    `choices` are (letter, text). With `form` "letters" an answer is a choice's letter in brackets
    anywhere, or the bare letter at the beginning, unless a word follows that is not the choice's
    own text ("A dog" is no answer A). With "free" it is the text of a choice at the beginning, case
    and outer white space aside. With "mention" it is the only choice whose text is in `text` as
    whole words, unless a "not" is before it; a number up to 20 may be in words or in digits.
    """
    texts = dict(choices)
    if form == "mention":
        return _only_mentioned(text, texts)
    if form == "free":
        start = len(text) - len(text.lstrip())
        beginning = text[start:].casefold()
        matches = [(mark, body) for mark, body in choices if beginning.startswith(body.casefold())]
        if not matches:
            return None
        letter, body = max(matches, key=lambda choice: len(choice[1]))
        return Answer(letter, start + len(body))
    for match in BRACKETED.finditer(text):
        if match[1] in texts:
            return Answer(match[1], match.end())
    match = BARE.match(text)
    if match and match[1] in texts:
        rest = text[match.end() :]
        if not re.match(r"[^\S\n]+\w", rest) or rest.strip().startswith(texts[match[1]]):
            return Answer(match[1], match.end())
    return None


def _only_mentioned(text: str, texts: Mapping[str, str]) -> Answer | None:
    """The choice that is mentioned and not denied; None where there is none, or more than one."""
    mentioned = {}
    for letter, body in texts.items():
        named = "|".join(map(re.escape, _spellings(ARTICLE.sub("", body.rstrip(".")))))
        pattern = rf"(?<![\w])(not )?(?:the |a |an )?(?:{named})(?!\w|[.,]\d)"
        matches = [m for m in re.finditer(pattern, text, re.IGNORECASE) if not m[1]]
        if matches:
            mentioned[letter] = matches[0].end()
    if len(mentioned) != 1:
        return None
    ((letter, end),) = mentioned.items()
    return Answer(letter, end)


def _spellings(words: str) -> list[str]:
    """The words and, for a number up to 20, its digits or its name."""
    other = DIGITS.get(words.casefold()) or NAMES.get(words)
    return [words, other] if other else [words]


def answer_wordings(written: str, letter: str, text: str, form: str) -> list[str]:
    """Texts by which a model may give an answer, with and without a space before them.

    `written` is the answer as the source writes it. Where letters are shown, a model that ignores
    the format may also write an open bracket, the bare letter, or the text of the option.
    """
    bodies = [written.strip(), text]
    if form == "letters":
        bodies += [f"({letter})", f"({letter}", letter]
    return [space + body for body in dict.fromkeys(bodies) for space in ("", " ") if body]


def prefix_free(sequences: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
    """The token sequences of which no other sequence is a prefix.

    At most one of them can be generated, so their probabilities can be added.
    """
    selected: list[tuple[int, ...]] = []
    for sequence in sorted({tuple(s) for s in sequences if s}, key=lambda s: (len(s), s)):
        if not any(sequence[: len(short)] == short for short in selected):
            selected.append(sequence)
    return selected
