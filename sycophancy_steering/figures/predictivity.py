"""How well vectors predict: by layer, by variant, and answer by answer."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sycophancy_steering.figures.style import (
    COLOURS,
    NULL,
    chance_line,
    line_with_band,
    points_with_intervals,
    shared_legend,
)
from sycophancy_steering.formatting.numbers import Interval, interval_text
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.permuted_labels import permuted_auroc_range
from sycophancy_steering.storage.cell_files import (
    POSITIONS,
    null_vectors,
    pooled_over_sources,
    short_name,
    vector_names,
)

AUROC = tuple(estimate("auroc"))


def auroc_by_layer(cells: pl.DataFrame, title: str) -> Figure:
    """AUROC on `test` by layer: a panel for each family and position, a line for each variant.

    Bands are 95% intervals clustered by item; the grey one contains 95% of random directions.
    """
    cells = pooled_over_sources(cells)
    families = cells["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.4 * len(families) + 2.4, 6), layout="constrained")
    axes = figure.subplots(len(POSITIONS), len(families), sharex=True, sharey=True, squeeze=False)
    figure.suptitle(title)
    for row, (position, where) in enumerate(POSITIONS.items()):
        for column, family in enumerate(families):
            axis = axes[row][column]
            part = cells.filter((pl.col("position") == position) & (pl.col("family") == family))
            _random_band(axis, part)
            nulls = null_vectors(part)
            variants = [name for name in vector_names(part) if name not in nulls]
            for n, variant in enumerate(variants):
                line = part.filter(pl.col("vector") == variant).sort("layer")
                line_with_band(axis, line, ("layer", *AUROC), n, short_name(cells, variant))
            axis.set_title(f"{family}, {where}\n{_counts(part)}", fontsize=9)
            axis.set_ylim(-0.02, 1.02)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            chance_line(axis)
    for axis in axes[-1]:
        axis.set_xlabel("layer (decoder block, from 0)")
    for axis in axes[:, 0]:
        axis.set_ylabel("AUROC on test, 95% interval")
    shared_legend(axes[0][0], figure, beside=True)
    return figure


def variants_side_by_side(cells: pl.DataFrame, title: str) -> Figure:
    """AUROC on `test` at the selected layer: a panel for each family, a row for each variant."""
    cells = pooled_over_sources(cells).filter("selected")
    families = cells["family"].unique(maintain_order=True).to_list()
    variants = vector_names(cells)
    figure = Figure(
        figsize=(3.1 * len(families) + 2.6, 0.42 * len(variants) + 2.2), layout="constrained"
    )
    axes = figure.subplots(1, len(families), sharex=True, sharey=True, squeeze=False)[0]
    figure.suptitle(title)
    for axis, family in zip(axes, families, strict=True):
        of_family = cells.filter(pl.col("family") == family)
        for n, (position, where) in enumerate(POSITIONS.items()):
            part = of_family.filter(pl.col("position") == position)
            y = np.array([variants.index(name) for name in part["vector"]]) + (n - 0.5) * 0.28
            for k in range(len(y)):
                band = [part["random_low"][k], part["random_high"][k]]
                axis.plot(band, [y[k], y[k]], color=NULL, lw=7, solid_capstyle="butt", zorder=0)
            points_with_intervals(axis, y, part, AUROC, n, where)
        axis.plot([], [], color=NULL, lw=7, label="95% of random directions")
        chance_line(axis, vertical=True)
        scope = of_family["generalisation"][0]
        axis.set_title(f"{family} ({scope})\n{_counts(of_family)}", fontsize=9)
        axis.set_xlim(-0.02, 1.02)
        axis.set_xlabel("AUROC on test, 95% interval")
    axes[0].set_yticks(range(len(variants)), [short_name(cells, name) for name in variants])
    axes[0].invert_yaxis()
    shared_legend(axes[0], figure)
    return figure


def label_against_cosine(scores: pl.DataFrame, title: str) -> Figure:
    """Whether each answer is sycophantic, against the cosine of its activation with the vector.

    `scores` holds the test answers of one vector (`family`, `item`, `position`, `layer`, `cosine`,
    `label`). Points are jittered; squares are the share of sycophantic answers in each fifth; the
    curve is a logistic fit. Titles give the AUROC with its interval clustered by item, and the
    central 95% under permuted labels.
    """
    families = scores["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.5 * len(families) + 0.6, 6.4), layout="constrained")
    axes = figure.subplots(len(POSITIONS), len(families), squeeze=False, sharey=True)
    figure.suptitle(title)
    rng = np.random.default_rng(0)
    for row, (position, where) in enumerate(POSITIONS.items()):
        for column, family in enumerate(families):
            axis = axes[row][column]
            fit = (pl.col("position") == position) & (pl.col("family") == family)
            answers = scores.filter(fit)
            axis.set_xlabel("cosine of the activation with the vector")
            axis.set_title(f"{family}, {where}: no answers", fontsize=8.5)
            if len(answers) == 0:
                continue
            x, y, items = (answers[name].to_numpy() for name in ("cosine", "label", "item"))
            auroc = clustered_auroc(x, y, items)
            interval = Interval(float(auroc.value), float(auroc.low), float(auroc.high))
            low, high = permuted_auroc_range(x, y, 1000, seed=0)
            jittered = y + rng.uniform(-0.06, 0.06, len(y))
            axis.plot(x, jittered, ".", ms=3, alpha=0.35, color=COLOURS[0], zorder=0)
            _fifths(axis, x, y)
            _logistic_curve(axis, x, y)
            axis.set_title(
                f"{family}, {where}, layer {answers['layer'][0]}\n"
                f"n = {len(y)} in {len(set(items))} items, "
                f"AUROC {interval_text(interval)}\npermuted labels {low:.2f} to {high:.2f}",
                fontsize=8.5,
            )
        axes[row][0].set_ylabel("answer")
        axes[row][0].set_yticks([0, 0.5, 1], ["other", "50%", "sycophantic"])
    return figure


def _counts(cells: pl.DataFrame) -> str:
    row = cells.row(0, named=True)
    return f"n = {row['n']} in {row['n_items']} items, {row['n_sycophantic']} sycophantic"


def _random_band(axis: Axes, cells: pl.DataFrame) -> None:
    line = cells.unique("layer").sort("layer")
    axis.fill_between(
        line["layer"].to_numpy(),
        line["random_low"],
        line["random_high"],
        color=NULL,
        alpha=0.6,
        lw=0,
        label="95% of random directions",
    )


def _fifths(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    edges = np.quantile(x, np.linspace(0, 1, 6))
    part = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, 4)
    centres = [x[part == n].mean() for n in range(5) if (part == n).any()]
    shares = [y[part == n].mean() for n in range(5) if (part == n).any()]
    axis.plot(centres, shares, "s", ms=6, color=COLOURS[1], mec="white", mew=0.6)


def _logistic_curve(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    from sklearn.linear_model import LogisticRegression

    if y.min() == y.max() or x.std() == 0:
        return
    scaled = (x - x.mean()) / x.std()
    fitted = LogisticRegression(C=1e6).fit(scaled[:, None], y)
    grid = np.linspace(x.min(), x.max(), 100)
    curve = fitted.predict_proba(((grid - x.mean()) / x.std())[:, None])[:, 1]
    axis.plot(grid, curve, color=COLOURS[6], lw=1.4)
