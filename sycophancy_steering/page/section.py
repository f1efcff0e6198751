"""What a section of the page is made of: a sentence, a figure, tables, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sycophancy_steering.page.study import Study
from sycophancy_steering.report.templates import TableData


@dataclass(frozen=True)
class Figure:
    """A chart that the browser draws; its data fold out as a table beneath it."""

    title: str
    caption: str
    """What it shows, with units, n and the interval, and what to look for."""
    spec: Mapping[str, Any]
    """Vega-Lite, without data, size and colours of the page."""
    data: pl.DataFrame


@dataclass(frozen=True)
class FoldedTable:
    """A table that folds out."""

    caption: str
    table: TableData


@dataclass(frozen=True)
class Section:
    """The answer to one question about one model."""

    finding: str
    """One sentence."""
    sources: Sequence[str]
    """The files that the numbers come from."""
    figure: Figure | None = None
    tables: Sequence[FoldedTable] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the section's own template names besides."""


@dataclass(frozen=True)
class Question:
    """A section of the page: what is asked, the function that answers, the template that shows."""

    id: str
    """Its anchor, and the NAME of templates/NAME.html.j2."""
    title: str
    answer: Callable[[Study], Section | None]
    """None where the study has nothing to say about its model."""
    short: str = ""
    """Its entry in the list of contents."""
    of_study: bool = False
    """Whether it is about the whole study, not about one model."""


def not_drawn(families: Sequence[str], drawn: Sequence[str]) -> str:
    """A sentence on the families that a figure leaves out; none where it draws them all."""
    left_out = [name for name in families if name not in drawn]
    return f" Not drawn, but in the tables: {named(left_out)}." if left_out else ""


def named(names: Sequence[str], empty: str = "none") -> str:
    """`a, b and c`, without underscores."""
    words = [name.replace("_", " ") for name in names]
    if len(words) < 2:
        return words[0] if words else empty
    return f"{', '.join(words[:-1])} and {words[-1]}"
