"""Marks in a text what is not in another, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup, escape

MOST_WORDS = 2000
"""Longer texts are shown without marks: comparing takes time that grows with the square."""


def marked(text: str, original: str) -> Markup:
    """`text` with <ins> around words that `original` lacks and <del> around those it has besides."""
    new, old = (re.findall(r"\s+|[^\s]+", words) for words in (text, original))
    if max(len(new), len(old)) > 2 * MOST_WORDS:
        return escape(text)
    parts = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_start, old_stop, new_start, new_stop in matcher.get_opcodes():
        gone, come = "".join(old[old_start:old_stop]), "".join(new[new_start:new_stop])
        if kind == "equal":
            parts.append(escape(come))
            continue
        if gone:
            parts.append(Markup("<del>{}</del>").format(gone))
        if come:
            parts.append(Markup("<ins>{}</ins>").format(come))
    return Markup("").join(parts)
