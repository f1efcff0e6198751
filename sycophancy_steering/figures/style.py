"""Colours, lines, intervals and legends that all figures share.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers
can distinguish; markers and line styles differ too.
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
    """Writes `figure` as PNG; the same figure gives the same bytes."""
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def panels(
    families: Sequence[str], title: str, height: float, rows: int = 1, margin: float = 1.4
) -> tuple[Figure, list[list[Axes]]]:
    """A figure and its axes (rows, families), which share their scales.

    `height` is in inches; so is `margin`, which is for labels and the legend beside the panels.
    """
    figure = Figure(figsize=(3.4 * len(families) + margin, height), layout="constrained")
    axes = figure.subplots(rows, len(families), sharex=rows > 1, sharey=True, squeeze=False)
    figure.suptitle(title, fontsize=10)
    return figure, [list(row) for row in axes]


def line_with_band(
    axis: Axes,
    table: pl.DataFrame,
    columns: Sequence[str],
    n: int,
    label: str,
    style: str = "-",
) -> None:
    """A line with its interval, in the n-th colour and marker.

    `columns` of `table` are x, the value and the bounds of its interval.
    """
    x, value, low, high = (table[name].to_numpy() for name in columns)
    colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
    axis.plot(x, value, style, color=colour, marker=marker, ms=4, lw=1.3, label=label)
    axis.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)


def points_with_intervals(
    axis: Axes,
    y: np.ndarray,
    table: pl.DataFrame,
    columns: Sequence[str],
    n: int,
    label: str,
) -> None:
    """Points at heights `y` with horizontal intervals, in the n-th colour and marker.

    `columns` of `table` are the value and the bounds of its interval.
    """
    value, low, high = (table[name].to_numpy() for name in columns)
    half_widths = np.abs(np.stack([low, high]) - value)
    colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
    axis.errorbar(value, y, xerr=half_widths, fmt=marker, ms=5, lw=1.4, color=colour, label=label)


def chance_line(axis: Axes, at: float = 0.5, vertical: bool = False) -> None:
    """A thin dotted line at chance level."""
    draw = axis.axvline if vertical else axis.axhline
    draw(at, color="black", lw=0.6, ls=":")


def shared_legend(axis: Axes, figure: Figure, beside: bool = False) -> None:
    """One legend for all panels, taken from one of them: below the panels, or beside them."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        location: Any = "outside right center" if beside else "outside lower center"
        figure.legend(
            handles, labels, loc=location, ncols=1 if beside else 3, frameon=False, fontsize=8
        )
