"""Published figures, and ours beside them: reports/published.json.

data/published/figures.csv has a published number a row; its README says what the columns mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.report.published_measures import MEASURES, OurNumber, OurNumbers
from sycophancy_steering.schemas.paths import MODELS, REPORTS

FIGURES = Path("data/published/figures.csv")
PUBLISHED = REPORTS / "published.json"
COLUMNS = {
    **dict.fromkeys(["model", "behaviour", "family", "measure", "setting"], pl.String),
    **dict.fromkeys(["coefficient", "value", "low", "high"], pl.Float64),
    "n": pl.Int64,
    **dict.fromkeys(["source", "read_in"], pl.String),
}
OPTIONAL = ("family", "setting", "coefficient", "low", "high", "n")
READ_IN = ("original", "summary")
MODEL_AND_MEASURE, MEASURE, NONE = "model and measure", "measure", "none"
"""How near ours is."""
TUNED = re.compile(r"-(hf|instruct)$")
"""Endings of names that our sources of published figures leave out."""


@dataclass(frozen=True)
class PublishedFigure:
    """One published number: a row of `FIGURES`."""

    model: str
    behaviour: str
    family: str
    measure: str
    setting: str
    coefficient: float | None
    value: float
    low: float | None
    high: float | None
    n: int | None
    source: str
    read_in: str


@dataclass(frozen=True)
class OwnFigure:
    """A number of this study beside a published one."""

    model: str
    number: OurNumber
    is_same_model: bool
    differs: str
    """In words: what is not the same."""


@dataclass(frozen=True)
class Comparison:
    """A published number, and ours."""

    published: PublishedFigure
    ours: Sequence[OwnFigure]
    why_none: str
    """Why there is none of ours; empty where there is one."""

    @property
    def match(self) -> str:
        """How near ours is."""
        if not self.ours:
            return NONE
        return MODEL_AND_MEASURE if any(own.is_same_model for own in self.ours) else MEASURE


def read_published_figures(path: Path = FIGURES) -> list[PublishedFigure]:
    """The published figures; none where there is no such file.

    Raises InputError, by line, for a row that is not one.
    """
    if not path.exists():
        return []
    try:
        table = pl.read_csv(path, schema_overrides=COLUMNS)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not readable as README.md beside it says ({reason})") from None
    if table.columns != [*COLUMNS]:
        raise InputError(f"{path}, line 1: expected the columns {', '.join(COLUMNS)}")
    figures = []
    for line, row in enumerate(table.iter_rows(named=True), start=2):
        for name, known in (("measure", [*MEASURES]), ("read_in", READ_IN)):
            if row[name] not in known:
                raise InputError(
                    f"{path}, line {line}, column {name!r}: expected one of {', '.join(known)}, "
                    f"found {row[name]!r}"
                )
        for name in COLUMNS:
            if row[name] is None and name not in OPTIONAL:
                raise InputError(f"{path}, line {line}, column {name!r}: expected a value")
        row |= {name: row[name] or "" for name in ("family", "setting")}
        figures.append(PublishedFigure(**row))
    return figures


def compare_published(
    suites: Mapping[str, Suite], organisms: Sequence[str], path: Path = FIGURES
) -> list[Comparison]:
    """Each published figure beside those of the models of this study that are no organisms (or all
    where there are no others)."""
    figures = read_published_figures(path)
    models = [name for name in suites if name not in organisms] or [*suites]
    numbers = [OurNumbers(model, suites[model]) for model in models]
    names = {model: full_name(model) for model in models}
    return [_comparison(figure, numbers, names) for figure in figures]


def _comparison(
    figure: PublishedFigure, numbers: Sequence[OurNumbers], names: Mapping[str, str]
) -> Comparison:
    measure = MEASURES[figure.measure]
    if not measure.ours:
        return Comparison(figure, [], measure.differs)
    if not figure.family:
        return Comparison(figure, [], "no kind of question of ours is known to be the same")
    ours = []
    for of_model in numbers:
        number = of_model.of(measure, figure.family, figure.coefficient)
        if number is not None:
            name = names[of_model.model]
            same = is_same_model(figure.model, name)
            whose = "" if same else f"another model, {name}; "
            ours.append(OwnFigure(of_model.model, number, same, f"{whose}{measure.differs}"))
    why = ""
    if not ours:
        at = f" at a coefficient of {figure.coefficient:g}" if figure.coefficient else ""
        why = f"this study has no such number on {figure.family.replace('_', ' ')} questions{at}"
    return Comparison(figure, ours, why)


def is_same_model(published: str, own: str) -> bool:
    """Whether two names are of one model, but for its owner and what `TUNED` leaves out.

    `3.x` in the published name stands for any version.
    """
    pattern = re.escape(_short(published)).replace(r"\.x", r"\.\d+")
    return re.fullmatch(pattern, _short(own)) is not None


def _short(name: str) -> str:
    short, before = name.rpartition("/")[2].lower().replace(" ", "-"), ""
    while short != before:
        short, before = TUNED.sub("", short), short
    return short


def full_name(model: str) -> str:
    """What the hub, the package index or the folder calls a model; its own name where nobody does.

    Of a file in a package, the file's name without its endings.
    """
    pointer = MODELS / model / "source.json"
    if not pointer.exists():
        return model
    name = str(json.loads(pointer.read_text(encoding="utf-8")).get("name", model))
    first = name.partition(" of ")[0]
    return re.sub(r"(\.[A-Za-z0-9_]+)?\.gguf$", "", first.rpartition("/")[2])


def published_json(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """reports/published.json."""
    return {
        "figures": [
            {
                **asdict(one.published),
                "match": one.match,
                "ours": [
                    {"model": own.model, **asdict(own.number), "differs": own.differs}
                    for own in one.ours
                ],
                "why_none": one.why_none,
            }
            for one in comparisons
        ]
    }
