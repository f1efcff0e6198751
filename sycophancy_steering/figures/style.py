"""Colours, lines, intervals, panels and legends that all figures share.

Colour means method, in every figure. Colours are those of Okabe and Ito
(https://jfly.uni-koeln.de/color/), which colour-blind readers can distinguish; markers and dashes
differ too, so that a print in grey can be read. What is no method is drawn in inks: black and
greys, with markers and dashes of their own. Nulls are grey bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from sycophancy_steering.schemas.table import estimate

WIDTH = 9.0
"""Of a figure, in inches: a page."""
AUROC_RANGE = (-0.04, 1.04)
"""Of an axis: markers at 0 and 1 are drawn whole."""
MOST_SERIES = 5
"""In one panel."""
MOST_COLUMNS = 3
"""Panels beside one another."""
NULL = "#C8C8C8"


@dataclass(frozen=True)
class Style:
    """How a series is drawn."""

    colour: str
    marker: str
    dashes: Any = "-"
    hollow: bool = False

    @property
    def face(self) -> str:
        """The colour inside its markers."""
        return "white" if self.hollow else self.colour

    def second(self) -> Style:
        """The same colour for a second series of the same method: hollow and dashed."""
        return replace(self, marker="s", dashes=(0, (2.5, 1.5)), hollow=True)


METHOD_STYLES = {
    "mean_difference": Style("#0072B2", "o"),
    "probe": Style("#D55E00", "s", (0, (5, 1))),
    "pca": Style("#009E73", "^", (0, (4, 1, 1, 1))),
    "lda": Style("#CC79A7", "D", (0, (1, 1))),
    "ccs": Style("#E69F00", "v", (0, (6, 2))),
    "leace": Style("#000000", "P", (0, (3, 1, 1, 1, 1, 1))),
    "median_difference": Style("#56B4E9", "X", (0, (2, 1))),
    "in_context_vector": Style("#F0E442", "*", (0, (8, 1))),
    "shuffled": Style("#777777", "<", (0, (1, 2))),
    "letter": Style("#777777", ">", (0, (3, 3))),
    "random": Style("#777777", "h", (0, (1, 3))),
}
"""Every method of vectors/methods.py, in the order of `METHODS`. Tests hold it complete."""
INKS = (
    Style("#000000", "o"),
    Style("#555555", "s", (0, (4, 1.5)), hollow=True),
    Style("#000000", "^", (0, (1, 1)), hollow=True),
    Style("#777777", "D", (0, (4, 1, 1, 1))),
    Style("#333333", "v", (0, (6, 2)), hollow=True),
)
"""For series that are no methods."""

mpl.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 9,
        "axes.labelsize": 8.5,
        "font.size": 8.5,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8.5,
        "legend.frameon": False,
    }
)


def method_style(variant: str) -> Style:
    """The style of a variant, or vector, by its method."""
    name = variant.rpartition("/")[2]
    for method in sorted(METHOD_STYLES, key=len, reverse=True):
        if name == method or name.startswith((f"{method}_", f"{method}-")):
            return METHOD_STYLES[method]
    # A method that this list does not know yet.
    return Style("#777777", "p", (0, (2, 2)))


def method_order(variant: str) -> tuple[int, str]:
    """Sorts variants by their methods' order, then by name."""
    styles = [*METHOD_STYLES.values()]
    style = method_style(variant)
    return styles.index(style) if style in styles else len(styles), variant


def page(title: str, height: float) -> Figure:
    """An empty figure, as wide as a page; `height` is in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, fontsize=10.5, fontweight="bold", x=0.01, ha="left")
    return figure


def family_rows(
    title: str,
    families: Sequence[str],
    columns: Sequence[str],
    height: float = 1.75,
    **shared: Any,
) -> tuple[Figure, list[list[Axes]]]:
    """A row of panels for each family, a column for each of `columns`, which share their x axes.

    `height` is that of a row. Without families, a figure that says that nothing is drawn.
    """
    figure = page(title, height * max(len(families), 0.5) + 1.0)
    if not families:
        return _without_panels(figure), []
    options: dict[str, Any] = {"sharex": "col", "sharey": "col"} | shared
    axes = figure.subplots(len(families), len(columns), squeeze=False, **options).tolist()
    for row, family in zip(axes, families, strict=True):
        for axis, words in zip(row, columns, strict=True):
            axis.set_title(f"{family}, {words}" if words else family)
    return figure, axes


def wrapped_panels(
    title: str, names: Sequence[str], height: float = 2.3, n_columns: int = 0, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A panel for each name, at most three a row; unused places are left empty.

    Without names, a figure that says that nothing is drawn.
    """
    n_columns = n_columns or (2 if len(names) in (2, 4) else MOST_COLUMNS)
    n_rows = ceil(len(names) / n_columns)
    figure = page(title, height * max(n_rows, 0.4) + 1.0)
    if not names:
        return _without_panels(figure), []
    options: dict[str, Any] = {"sharex": True, "sharey": True} | shared
    axes = figure.subplots(n_rows, n_columns, squeeze=False, **options)
    for axis, name in zip(axes.flat, names, strict=False):
        axis.set_title(name)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    # A panel above an empty place shows the numbers of its own x axis.
    for axis in axes.flat[len(names) - n_columns : len(names)]:
        axis.tick_params(labelbottom=True)
    return figure, [*axes.flat[: len(names)]]


def _without_panels(figure: Figure) -> Figure:
    figure.text(0.01, 0.5, "Nothing is drawn: see below.", va="center")
    return figure


def line_with_band(
    axis: Axes,
    table: pl.DataFrame,
    columns: Sequence[str],
    style: Style,
    label: str,
    *,
    thin: bool = False,
) -> None:
    """A line, and the band of its interval; a `thin` one has neither weight nor a band.

    `columns` of `table` are x, the value and the bounds of its interval. Of many points, every few
    have markers, at other places on each line.
    """
    x, value, low, high = (table[name].to_numpy() for name in columns)
    step = max(1, len(x) // 8)
    if not thin:
        axis.fill_between(x, low, high, color=style.colour, alpha=0.16, lw=0)
    axis.plot(
        x,
        value,
        ls=style.dashes,
        color=style.colour,
        marker=style.marker,
        mfc=style.face,
        ms=4 if thin else 5,
        mew=0.8,
        lw=0.9 if thin else 1.9,
        label=label,
        markevery=(len(axis.lines) % step, step),
        zorder=2.2 if thin else 2.6,
        path_effects=_outline(style, 0.9 if thin else 1.9),
    )


def points_with_intervals(
    axis: Axes,
    y: np.ndarray,
    table: pl.DataFrame,
    columns: Sequence[str],
    style: Style,
    label: str = "",
) -> None:
    """Points at heights `y` with horizontal intervals.

    `columns` of `table` are the value and the bounds of its interval.
    """
    value, low, high = (table[name].to_numpy() for name in columns)
    axis.errorbar(
        value,
        y,
        xerr=np.abs(np.stack([low, high]) - value),
        **_point_looks(style, label),
    )


def _point_looks(style: Style, label: str) -> dict[str, Any]:
    """How a point with an interval is drawn, whichever way the interval lies."""
    return {
        "fmt": style.marker,
        "ms": 5,
        "lw": 1.3,
        "color": style.colour,
        "mfc": style.face,
        "label": label or None,
        "path_effects": _outline(style, 1.3),
    }


def _outline(style: Style, width: float) -> list[withStroke]:
    """A dark rim, without which yellow cannot be seen on white."""
    if style.colour != METHOD_STYLES["in_context_vector"].colour:
        return []
    return [withStroke(linewidth=width + 1.0, foreground="#666666")]


def interval_points(
    axis: Axes, x: np.ndarray, table: pl.DataFrame, name: str, style: Style, label: str = ""
) -> None:
    """Points at `x` with vertical intervals; `name` is the estimate of `table`."""
    value, low, high = (table[column].to_numpy() for column in estimate(name))
    axis.errorbar(
        x,
        value,
        yerr=np.abs(np.stack([low, high]) - value),
        **_point_looks(style, label),
    )


def null_band(axis: Axes, x: np.ndarray, low: Any, high: Any, label: str) -> None:
    """The grey band of a null."""
    axis.fill_between(x, low, high, color=NULL, alpha=0.75, lw=0, label=label, zorder=0)


def null_bars(axis: Axes, y: np.ndarray, low: Any, high: Any, label: str) -> None:
    """Grey bars of a null behind points at heights `y`."""
    width = np.asarray(high, float) - np.asarray(low, float)
    axis.barh(y, width, left=low, height=0.62, color=NULL, alpha=0.75, label=label, zorder=0)


def chance_line(axis: Axes, at: float = 0.5, vertical: bool = False) -> None:
    """A thin dotted line at chance level."""
    draw = axis.axvline if vertical else axis.axhline
    draw(at, color="black", lw=0.6, ls=":")


def layer_axis(axis: Axes) -> None:
    """Whole numbers on an axis of layers or tokens."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def legend_below(figure: Figure, *axes: Axes) -> None:
    """One legend below the panels, of what `axes` hold; each label once."""
    entries: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if entries:
        figure.legend(
            [*entries.values()],
            [*entries],
            loc="outside lower center",
            ncols=min(len(entries), 3),
            handlelength=3.2,
        )
