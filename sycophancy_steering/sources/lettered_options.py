"""A text with lettered options in it, taken apart so that they can be shown in any order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import LETTERS, Order, option_block
from sycophancy_steering.sources.records import REMEDY, shortened

OPTION_LINE = re.compile(r"( ?)\(([A-Z])\) (.*)")
AFTER_OPTIONS = re.compile(r"(?:\n+Answer:)?\s*")
CHOICES_LINE = re.compile(r"(?:\n\n(?:Your choices|Choices):)?\n\Z")


@dataclass(frozen=True)
class LetteredText:
    """A text with lettered options in it, taken apart so that they can be put in any order."""

    before: str
    """All that precedes the first option, unchanged whatever the order: a biography that mentions
    "(A)" still does."""
    option_format: str
    """How an option is written, from `letter` and `text`."""
    options: tuple[str, ...]
    """The options' texts in the published order. One of them may be empty: that is how a row of
    `truthful_qa_dataset.json` was published."""
    after: str
    """All that follows the last option."""

    @classmethod
    def parse(cls, text: str, location: str) -> LetteredText:
        """The options of `text`: its last run of lines (A), (B), ... in order.

        Guarantees two or more different options, words before them, at most "Answer:" after them,
        and that `write` gives `text` back in the published order. Raises `InputError` otherwise.
        """
        lines = text.split("\n")
        marks = {n: found for n, line in enumerate(lines) if (found := OPTION_LINE.fullmatch(line))}
        if not marks:
            raise InputError(f"{location}: expected lines (A) ..., (B) ..., found none; {REMEDY}")
        last = max(marks)
        # The last letter tells how many lines the block has, so that a biography which itself
        # ends in a line "(A) ..." is not taken for the first option.
        first = last - LETTERS.index(marks[last][2])
        block = [marks[n] for n in range(first, last + 1) if n in marks]
        letters = "".join(option[2] for option in block)
        if len(block) < 2 or letters != LETTERS[: last - first + 1]:
            raise InputError(
                f"{location}: expected two or more option lines in a row from (A) on, "
                f"found {letters!r}; {REMEDY}"
            )
        lettered = cls.from_parts(
            before="".join(line + "\n" for line in lines[:first]),
            option_format=block[0][1] + "({letter}) {text}",
            options=tuple(option[3] for option in block),
            after="".join("\n" + line for line in lines[last + 1 :]),
            location=location,
        )
        if not AFTER_OPTIONS.fullmatch(lettered.after):
            raise InputError(
                f'{location}: expected nothing or "Answer:" after the options, '
                f"found {shortened(lettered.after)}; {REMEDY}"
            )
        if not lettered.stem.strip():
            raise InputError(f"{location}: expected a question before the options; {REMEDY}")
        if lettered.write(published_order(lettered.options)) != text:
            raise InputError(f"{location}: expected every option to be indented alike; {REMEDY}")
        return lettered

    @classmethod
    def from_parts(
        cls, before: str, option_format: str, options: tuple[str, ...], after: str, location: str
    ) -> LetteredText:
        """For a record that holds the parts and no text.

        Raises `InputError` for options that are the same or that do not fit on a line each.
        """
        if len(set(options)) < len(options) or any("\n" in option for option in options):
            raise InputError(
                f"{location}: expected different options of one line each, "
                f"found {shortened(options)}; {REMEDY}"
            )
        return cls(before, option_format, options, after)

    @property
    def stem(self) -> str:
        """What precedes the options, without a line "Choices:"."""
        return CHOICES_LINE.sub("", self.before)

    def write(self, order: Order) -> str:
        """The text with its options in `order`."""
        return self.before + option_block(self.options, order, self.option_format) + self.after


def published_order(options: tuple[str, ...]) -> Order:
    """The order in which the source gives the options."""
    return tuple(range(len(options)))
