"""Marked blocks of a Markdown page, whose text is computed and not written by hand.

A block is a line `<!-- from: SOURCE ARGUMENTS -->`, what was computed, and a line `<!-- end -->`;
inside a sentence, all three stand on one line. `<!-- by hand: WHAT -->` begins a block that holds
what no file has, such as a time measured once, and stays as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from sycophancy_steering.foundation.errors import InputError

END = "<!-- end -->"
START = re.compile(r"<!-- (?:from|by hand): ")
BLOCK = re.compile(rf"<!-- (?P<kind>from|by hand): (?P<query>.+?) -->(?P<body>.*?){END}", re.DOTALL)

Source = Callable[[list[str]], str]
"""Computes a text from the words of a query, of which the first names what it reads."""


def filled(text: str, page: str, source: Source) -> str:
    """The page with the text of every block computed anew.

    Raises InputError, with the page and the line, for a block that is not closed, and where
    `source` does.
    """
    if not len(START.findall(text)) == text.count(END) == len(BLOCK.findall(text)):
        raise InputError(f"{page}: expected {END} after the beginning of each block, not elsewhere")

    def compute(match: re.Match[str]) -> str:
        place = f"{page}, line {text.count(chr(10), 0, match.start()) + 1}"
        is_inline = not match["body"].startswith("\n")
        line_start = text.rfind("\n", 0, match.start()) + 1
        if is_inline and not text[line_start : match.start()].strip():
            # Markdown takes a line that begins with a comment for HTML, and shows it as it is.
            raise InputError(f"{place}: expected a word before a block inside a sentence")
        if match["kind"] == "by hand":
            return match[0]
        try:
            computed = source(shlex.split(match["query"]))
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        if is_inline and "\n" in computed:
            raise InputError(f"{place}: expected this block on lines of its own")
        body = computed if is_inline else f"\n{computed}\n"
        return f"<!-- from: {match['query']} -->{body}{END}"

    return BLOCK.sub(compute, text)
