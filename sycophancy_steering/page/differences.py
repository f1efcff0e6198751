"""Marks in a text what is not in another, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from markupsafe import Markup, escape

MOST_WORDS = 2000
"""Longer texts are shown without marks: comparing takes time that grows with the square."""


def marked(text: str, original: str) -> Markup:
    """`text` with <ins> around words that `original` lacks, and <del> around those it lost."""
    new, old = (re.findall(r"\s*\S+|\s+$", words) for words in (text, original))
    if max(len(new), len(old)) > MOST_WORDS:
        return escape(text)
    parts = []
    for equal, gone, come in _runs(old, new):
        if equal:
            parts.append(escape(come))
            continue
        if gone.strip():
            parts.append(Markup("<del>{}</del>").format(gone))
        if come:
            parts.append(Markup("<ins>{}</ins>").format(come))
    return Markup("").join(parts)


def _runs(old: list[str], new: list[str]) -> Iterator[tuple[bool, str, str]]:
    """Runs of words that are the same or not: whether they are, the old text, the new text.

    A single common word between two differences is no agreement, and joins them.
    """
    words = ([word.strip() for word in text] for text in (old, new))
    matcher = SequenceMatcher(None, *words, autojunk=False)
    gone: list[str] = []
    come: list[str] = []
    for kind, old_start, old_stop, new_start, new_stop in matcher.get_opcodes():
        before, after = old[old_start:old_stop], new[new_start:new_stop]
        inside = old_start > 0 and old_stop < len(old)
        if kind == "equal" and not (inside and len(before) == 1):
            yield False, "".join(gone), "".join(come)
            yield True, "".join(before), "".join(after)
            gone, come = [], []
        else:
            gone += before
            come += after
    yield False, "".join(gone), "".join(come)
