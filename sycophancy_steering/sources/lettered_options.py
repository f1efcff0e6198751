"""A text with lettered options, which can be shown in any order."""

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
    """The parts of a text with lettered options."""

    before: str
    """The text before the first option, which is the same in every order: a biography that mentions
    "(A)" keeps it."""
    option_format: str
    """The format of an option, with `letter` and `text`."""
    options: tuple[str, ...]
    """The options' texts in the published order. One may be empty, as in a published row of
    `truthful_qa_dataset.json`."""
    after: str
    """The text after the last option."""

    @classmethod
    def parse(cls, text: str, location: str) -> LetteredText:
        """The parts of `text`, whose options are its last run of lines (A), (B), ... in order.

        There are two or more different options, a question before them and at most "Answer:" after
        them, and `write` in the published order gives `text` back. Raises InputError otherwise.
        """
        lines = text.split("\n")
        matches = ((n, OPTION_LINE.fullmatch(line)) for n, line in enumerate(lines))
        marks = {n: match for n, match in matches if match}
        if not marks:
            raise InputError(f"{location}: expected lines (A) ..., (B) ..., found none; {REMEDY}")
        last = max(marks)
        # The last letter gives the number of option lines, so that a biography that ends in a line
        # "(A) ..." is not taken for the first option.
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
        """For a record that has the parts instead of the text.

        Raises InputError for options that are equal or have several lines.
        """
        if len(set(options)) < len(options) or any("\n" in option for option in options):
            raise InputError(
                f"{location}: expected different options of one line each, "
                f"found {shortened(options)}; {REMEDY}"
            )
        return cls(before, option_format, options, after)

    @property
    def stem(self) -> str:
        """The text before the options, without a line "Choices:"."""
        return CHOICES_LINE.sub("", self.before)

    def write(self, order: Order) -> str:
        """The text with its options in `order`."""
        return self.before + option_block(self.options, order, self.option_format) + self.after


def published_order(options: tuple[str, ...]) -> Order:
    """The order in which the source gives the options."""
    return tuple(range(len(options)))
