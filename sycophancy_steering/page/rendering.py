"""The page as one HTML file: templates with escaping on, scripts and styles inlined.

Nothing is loaded from elsewhere, and a Content-Security-Policy forbids that anything is: it allows
this page's own script, style and charting library by their hashes, and no other.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from sycophancy_steering.formatting.numbers import (
    MISSING,
    Interval,
    Range,
    interval_text,
    number_text,
    range_text,
    share_text,
)
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.page.controls import read_controls
from sycophancy_steering.page.first_screen import ModelVerdict, model_verdict
from sycophancy_steering.page.lock import Output, output_of, read_records
from sycophancy_steering.page.packing import pack_bytes
from sycophancy_steering.page.section import Question, Section
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.templates import Quotation

FOLDER = Path(__file__).parent
SCRIPTS = ("start.js", "figures.js", "atlas.js")
DECIMALS = 4
"""Of the numbers in figures."""


@dataclass(frozen=True)
class Part:
    """What a section says about one model."""

    id: str
    model: str
    is_control: bool
    section: Section


@dataclass(frozen=True)
class Chapter:
    """A question with its answers, model by model."""

    question: Question
    parts: Sequence[Part]


def chapters(study: Study, questions: Sequence[Question]) -> list[Chapter]:
    """The questions that have an answer; those about the whole study are answered once."""
    models = [*study.real_models, *study.controls]
    studies = [study.of(model) for model in models]
    answered = []
    for question in questions:
        parts = []
        for number, of_model in enumerate(studies[:1] if question.of_study else studies):
            section = question.answer(of_model)
            if section is not None:
                name = question.id if not number else f"{question.id}-{number}"
                parts.append(Part(name, of_model.model, of_model.is_control, section))
        if parts:
            answered.append(Chapter(question, parts))
    return answered


def render_page(study: Study, questions: Sequence[Question], templates: Sequence[Path] = ()) -> str:
    """The page on the study; `templates` are further folders with templates of sections."""
    environment = make_environment(templates)
    records = read_records()

    def recorded(path: str) -> Output | None:
        return output_of(path, records)

    environment.globals["recorded"] = recorded
    verdicts: list[ModelVerdict] = [model_verdict(study.of(name)) for name in study.real_models]
    script = "\n".join((FOLDER / "assets" / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (FOLDER / "assets/page.css").read_text(encoding="utf-8")
    library = charting_library()
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {content_hash(script)} {content_hash(library)}",
            f"style-src {content_hash(style)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return environment.get_template("page.html.j2").render(
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        library=pack_bytes(library.encode("utf-8")),
        verdicts=verdicts,
        controls=read_controls(study),
        chapters=chapters(study, questions),
    )


def write_page(study: Study, questions: Sequence[Question], path: Path) -> str:
    """Writes the page of a study to `path`; returns a line about it. Raises InputError."""
    page = render_page(study, questions)
    with atomic_write(path) as draft:
        draft.write_text(page, encoding="utf-8")
    return f"{path}: {len(page.encode()) / 1e6:.1f} MB on {', '.join(study.settings.suites)}"


@lru_cache(maxsize=1)
def charting_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, out of a package."""
    import vl_convert  # takes a moment, and starts threads

    return vl_convert.javascript_bundle(None)  # type: ignore[arg-type]


def content_hash(content: str) -> str:
    """How a Content-Security-Policy names an inline script or style."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def make_environment(templates: Sequence[Path] = ()) -> Environment:
    """Templates that escape everything, and may not name what they are not given."""
    environment = Environment(
        loader=FileSystemLoader([*templates, FOLDER / "templates"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.globals |= {"figure_json": figure_json, "json": page_json}
    environment.filters |= {
        "cell": cell_words,
        "interval": interval_text,
        "number": number_text,
        "numeric": is_numeric,
        "plain": lambda text: str(text).replace("_", " "),
        "quoted": lambda cell: isinstance(cell, Quotation),
        "share": share_text,
    }
    return environment


def page_json(values: object) -> Markup:
    """JSON that may stand in a script element: `<`, `>` and `&` are written as escapes."""
    return htmlsafe_json_dumps(
        values, dumps=json.dumps, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )


def figure_json(spec: object, data: pl.DataFrame) -> Markup:
    """A figure's specification and its data, column by column."""
    rounded = data.with_columns(pl.selectors.float().round(DECIMALS).fill_nan(None))
    return page_json({"spec": spec, "data": rounded.to_dict(as_series=False)})


def cell_words(cell: object) -> str:
    """A table's cell as text; escaping is the template's."""
    match cell:
        case None:
            return MISSING
        case tuple():
            return "; ".join(cell_words(part) for part in cell)
        case Interval():
            return interval_text(cell)
        case Range():
            return range_text(cell)
        case Quotation():
            return cell.text or ""
        case float():
            return number_text(cell)
        case _:
            return str(cell)


def is_numeric(cell: object) -> bool:
    """Whether a cell is aligned as numbers are."""
    return isinstance(cell, int | float | Interval | Range | None) and not isinstance(cell, bool)
