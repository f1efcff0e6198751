"""Markdown from templates/*.md.j2: tables, numbers and escaping in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from tabulate import tabulate

from sycophancy_steering.formatting.numbers import (
    MISSING,
    Interval,
    Range,
    interval_text,
    number_text,
    p_text,
    range_text,
    share_text,
)

MARKUP = ("\\", "|", "`", "*", "_", "[", "]", "#")
"""What Markdown might take for markup in what a model wrote."""


@dataclass(frozen=True)
class Section:
    """A part of a report: the template that words it, and the facts that the template names."""

    template: str
    """NAME of templates/NAME.md.j2."""
    facts: Mapping[str, Any]
    """Numbers and words; the page (page/) shows the same."""


@dataclass(frozen=True)
class Quotation:
    """What a model wrote or was asked: shown as it is, without any markup of its own."""

    text: str | None


@dataclass(frozen=True)
class TableData:
    """The header and the cells of a table: words, numbers, intervals, or tuples of these."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def render(section: Section) -> str:
    """The section as Markdown, without blank lines around it."""
    return _environment().get_template(f"{section.template}.md.j2").render(section.facts).strip()


def render_all(sections: Sequence[Section | None]) -> str:
    """Sections one after the other, as a page; those that have nothing to show are None."""
    return "\n\n".join(render(section) for section in sections if section) + "\n"


def markdown_table(table: TableData) -> str:
    """The table in GitHub's Markdown, its columns aligned for a terminal too."""
    header = [cell_text(name) for name in table.header]
    rows = [[cell_text(cell) for cell in row] for row in table.rows]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def cell_text(cell: object) -> str:
    """A table's cell as text: intervals `0.83 [0.78, 0.87]`, several values separated by `; `."""
    match cell:
        case None:
            return MISSING
        case tuple():
            return "; ".join(cell_text(part) for part in cell)
        case Interval():
            return interval_text(cell)
        case Range():
            return range_text(cell)
        case Quotation():
            return quotation_text(cell.text)
        case float():
            return number_text(cell)
        case _:
            return plain_text(str(cell))


def plain_text(text: str) -> str:
    """A name or other words from data, on one line and harmless in a table."""
    safe = escape(" ".join(text.split()), quote=False)
    return safe.replace("|", "\\|").replace("`", "\\`")


def quotation_text(text: str | None) -> str:
    """What a model wrote, on one line; lines are separated by ` / `."""
    safe = escape(text or "", quote=False)
    for mark in MARKUP:
        safe = safe.replace(mark, f"\\{mark}")
    return " / ".join(line.strip() for line in safe.splitlines() if line.strip())


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Templates that may not name what they are not given."""
    environment = Environment(
        loader=PackageLoader("sycophancy_steering.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown: cells and words from data are escaped by `text`
    )
    environment.globals["table"] = markdown_table
    environment.filters |= {
        "interval": interval_text,
        "number": number_text,
        "p": p_text,
        "range": range_text,
        "share": share_text,
        "text": plain_text,
    }
    return environment
