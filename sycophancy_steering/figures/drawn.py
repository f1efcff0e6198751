"""A figure with its caption, and how both become a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from sycophancy_steering.figures.style import WIDTH

DPI = 130
CAPTION_SIZE = 8.5
"""In points."""
CHARACTERS = 135
"""Of a line of a caption."""
LINE_HEIGHT = 1.5
"""Of a caption, in its font's size."""


@dataclass(frozen=True)
class Drawn:
    """A figure, and in words what is to be seen, what its intervals are, and what is left out."""

    figure: Figure
    caption: str


Figures = dict[str, Drawn]
"""By name: a picture's file is MODEL_NAME.png."""


def caption(*sentences: str) -> str:
    """Joins what there is to say; empty parts are skipped."""
    return " ".join(sentence for sentence in sentences if sentence)


def save(drawn: Drawn, path: Path) -> None:
    """Writes the figure as PNG with its caption below; the same figure gives the same bytes."""
    pixels = np.concatenate([_pixels(drawn.figure), _pixels(_caption_figure(drawn.caption))])
    no_version: Any = {"Software": None}  # otherwise Matplotlib's
    imsave(path, pixels, format="png", dpi=DPI, metadata=no_version)


def _pixels(figure: Figure) -> np.ndarray:
    """(height, width, 3), on white."""
    figure.set_dpi(DPI)
    figure.set_facecolor("white")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _caption_figure(words: str) -> Figure:
    lines = textwrap.wrap(words, CHARACTERS)
    height = (len(lines) + 0.8) * CAPTION_SIZE * LINE_HEIGHT / 72
    figure = Figure(figsize=(WIDTH, height))
    figure.text(
        0.01,
        1 - 0.4 / (len(lines) + 0.8),
        "\n".join(lines),
        va="top",
        fontsize=CAPTION_SIZE,
        linespacing=LINE_HEIGHT / 1.2,
        color="#222222",
        parse_math=False,
    )
    return figure


def listed(names: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = [str(name) for name in names] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def named_or_counted(names: Sequence[str], total: int, most: int = 4) -> str:
    """Up to `most` names; otherwise how many of all there are: `13 of 15`, `all 15`."""
    if len(names) <= most:
        return listed(names)
    return f"all {total}" if len(names) == total else f"{len(names)} of {total}"


def runs(numbers: Iterable[int]) -> str:
    """`3 to 5, 9`: sorted numbers with runs of three or more as ranges."""
    groups: list[list[int]] = []
    for number in sorted(set(numbers)):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    words = []
    for group in groups:
        words += [f"{group[0]} to {group[-1]}"] if len(group) > 2 else map(str, group)
    return ", ".join(words)


def by_family(facts: Mapping[str, str] | Sequence[tuple[str, str]]) -> str:
    """`opinion 0.82, pushback 0.61`."""
    pairs = facts.items() if isinstance(facts, Mapping) else facts
    return "; ".join(f"{family} {fact}" for family, fact in pairs)
