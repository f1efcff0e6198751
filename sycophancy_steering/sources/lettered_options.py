"""A text with lettered options, which can be shown in any order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import LETTERS, Order
from sycophancy_steering.sources.records import REMEDY, shortened

OPTION_LINE = re.compile(r"( ?\(([A-Z])\) )(.*)")
LOOSE_OPTION_LINE = re.compile(r"([ \t]*\(([A-Z])\) ?)(.*)")
"""Where every option may be set off in its own way, as "(A)Yes" in CAA's sets."""
AFTER_OPTIONS = re.compile(r"(?:\n+Answer:)?\s*")
CHOICES_LINE = re.compile(
    r"(?:\n+(?:(?:Your )?(?:choices|options|answers)|Possible answers?):)?\n\Z", re.IGNORECASE
)


@dataclass(frozen=True)
class LetteredText:
    """The parts of a text with lettered options."""

    before: str
    """The text before the first option, which is the same in every order: a biography that mentions
    "(A)" keeps it."""
    marks: tuple[str, ...]
    """What stands before the option at each position: " (A) ", then the end of the line and
    " (B) ", ..."""
    options: tuple[str, ...]
    """The options' texts in the published order. One may be empty, as in a published row of
    `truthful_qa_dataset.json`."""
    after: str
    """The text after the last option."""

    @classmethod
    def parse(cls, text: str, location: str, several_lines: bool = False) -> LetteredText:
        """The parts of `text`, whose options are its last run of lines (A), (B), ... in order.

        There are two or more different options and a question before them. An option is one line;
        with `several_lines` it goes on to the next one, blank lines between them may differ, and so
        may the space around letters. At most "Answer:" comes after them. `write` in the published
        order gives `text` back. Raises InputError otherwise.
        """
        lines = text.split("\n")
        pattern = LOOSE_OPTION_LINE if several_lines else OPTION_LINE
        matches = [(n, match) for n, line in enumerate(lines) if (match := pattern.fullmatch(line))]
        if not matches:
            raise InputError(f"{location}: expected lines (A) ..., (B) ..., found none; {REMEDY}")
        # The last letter gives the number of option lines, so that a biography that ends in a line
        # "(A) ..." is not taken for the first option.
        last, count = matches[-1][0], LETTERS.index(matches[-1][1][2]) + 1
        block = [(n, match) for n, match in matches[-count:] if several_lines or n > last - count]
        letters = "".join(match[2] for _, match in block)
        if len(block) < 2 or letters != LETTERS[:count]:
            raise InputError(
                f"{location}: expected two or more option lines in a row from (A) on, "
                f"found {letters!r}; {REMEDY}"
            )
        numbers = [n for n, _ in block]
        stops = [*numbers[1:], len(lines) if several_lines else last + 1]
        bodies = [
            "\n".join([match[3], *lines[n + 1 : stop]])
            for (n, match), stop in zip(block, stops, strict=True)
        ]
        gaps = [_end_of_lines(body) for body in bodies[:-1]]
        ends = [*gaps, _end_of_options(bodies[-1])]
        lettered = cls(
            before="".join(line + "\n" for line in lines[: numbers[0]]),
            marks=tuple(
                gap + match[1]
                for gap, (_, match) in zip(("", *("\n" + g for g in gaps)), block, strict=True)
            ),
            options=tuple(b[: len(b) - len(end)] for b, end in zip(bodies, ends, strict=True)),
            after=ends[-1] + "".join("\n" + line for line in lines[stops[-1] :]),
        )
        lettered._check(location, alike=not several_lines)
        return lettered

    def _check(self, location: str, alike: bool) -> None:
        """Raises InputError as `parse`; `alike`: for options that are not indented alike."""
        if not AFTER_OPTIONS.fullmatch(self.after):
            raise InputError(
                f'{location}: expected nothing or "Answer:" after the options, '
                f"found {shortened(self.after)}; {REMEDY}"
            )
        if not self.stem.strip():
            raise InputError(f"{location}: expected a question before the options; {REMEDY}")
        if alike and len({mark.strip("\n").index("(") for mark in self.marks}) > 1:
            raise InputError(f"{location}: expected every option to be indented alike; {REMEDY}")
        _check_different(self.options, location)

    @classmethod
    def from_parts(
        cls, before: str, option_format: str, options: tuple[str, ...], after: str, location: str
    ) -> LetteredText:
        """For a record that has the parts instead of the text.

        Raises InputError for options that are equal or have several lines.
        """
        if any("\n" in option for option in options):
            raise InputError(
                f"{location}: expected different options of one line each, "
                f"found {shortened(options)}; {REMEDY}"
            )
        _check_different(options, location)
        marks = tuple(
            ("\n" if n else "") + option_format.format(letter=LETTERS[n], text="")
            for n in range(len(options))
        )
        return cls(before, marks, options, after)

    @property
    def stem(self) -> str:
        """The text before the options, without a line "Choices:"."""
        return CHOICES_LINE.sub("", self.before)

    def write(self, order: Order) -> str:
        """The text with its options in `order`."""
        shown = (mark + self.options[o] for mark, o in zip(self.marks, order, strict=True))
        return self.before + "".join(shown) + self.after


def _end_of_lines(body: str) -> str:
    """The ends of lines after a text."""
    return body[len(body.rstrip("\n")) :]


def _end_of_options(body: str) -> str:
    """What follows the last option: "Answer:" on a line of its own, or ends of lines."""
    option = body.rstrip()
    if option.endswith("\nAnswer:"):
        option = option.removesuffix("Answer:").rstrip("\n")
    end = body[len(option) :]
    return end if "\n" in end else ""


def _check_different(options: Sequence[str], location: str) -> None:
    if len(set(options)) < len(options):
        raise InputError(
            f"{location}: expected different options, found {shortened(options)}; {REMEDY}"
        )


def published_order(options: tuple[str, ...]) -> Order:
    """The order in which the source gives the options."""
    return tuple(range(len(options)))
