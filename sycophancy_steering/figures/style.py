"""What all pictures have in common.

Colours are Okabe and Ito's, which the colour-blind tell apart; markers and lines differ too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
NULL = "#BBBBBB"

mpl.rcParams.update({"svg.hashsalt": "0", "axes.spines.top": False, "axes.spines.right": False})


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG: the same picture, the same bytes."""
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def panels(
    families: Sequence[str], title: str, height: float, rows: int = 1, aside: float = 1.4
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a column a family, in `rows`; `aside` inches of it are for what is beside."""
    figure = Figure(figsize=(3.4 * len(families) + aside, height), layout="constrained")
    axes = figure.subplots(rows, len(families), sharex=rows > 1, sharey=True, squeeze=False)
    figure.suptitle(title, fontsize=10)
    return figure, [list(row) for row in axes]


def line_with_band(
    axis: Axes,
    held: pl.DataFrame,
    columns: tuple[str, str, str, str],
    n: int,
    label: str,
    style: str = "-",
) -> None:
    """A line with its interval, in the n-th colour and marker; `columns` of `held` are those of x,
    the value, and the ends of its interval."""
    x, value, low, high = (held[name].to_numpy() for name in columns)
    colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
    axis.plot(x, value, style, color=colour, marker=marker, ms=4, lw=1.3, label=label)
    axis.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)


def points_with_intervals(
    axis: Axes,
    y: np.ndarray,
    held: pl.DataFrame,
    columns: tuple[str, str, str],
    n: int,
    label: str,
) -> None:
    """Points with their intervals, one under the other, in the n-th colour and marker; `columns` of
    `held` are those of the value, and of the ends of its interval."""
    value, low, high = (held[name].to_numpy() for name in columns)
    reach = np.abs(np.stack([low, high]) - value)
    colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
    axis.errorbar(value, y, xerr=reach, fmt=marker, ms=5, lw=1.4, color=colour, label=label)


def chance_line(axis: Axes, at: float = 0.5, vertical: bool = False) -> None:
    """A thin dotted line where nothing is found."""
    draw = axis.axvline if vertical else axis.axhline
    draw(at, color="black", lw=0.6, ls=":")


def legend_of(axis: Axes, figure: Figure, aside: bool = False) -> None:
    """One legend for all panels, from one of them: below them, or aside."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        place: Any = "outside right center" if aside else "outside lower center"
        figure.legend(
            handles, labels, loc=place, ncols=1 if aside else 3, frameon=False, fontsize=8
        )
