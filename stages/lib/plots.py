"""Pictures of predictivity. Each takes cells (see `cells.py`) and returns a figure.

Colours are Okabe and Ito's, which the colour-blind tell apart; markers and lines differ too.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.cell_files import POSITIONS, names, nulls, pooled, shown_name
from lib.statistics import clustered_auroc, shuffled_auroc

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
NULL = "#BBBBBB"

mpl.rcParams.update({"svg.hashsalt": "0", "axes.spines.top": False, "axes.spines.right": False})


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG: the same picture, the same bytes."""
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def auroc_by_layer(cells: pl.DataFrame, title: str) -> Figure:
    """AUROC on `test` against the layer, a panel a family and position, a line a variant.

    Bands are 95% intervals clustered by item; the grey one holds 95% of random directions.
    """
    cells = pooled(cells)
    families = cells["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.4 * len(families) + 2.4, 6), layout="constrained")
    axes = figure.subplots(len(POSITIONS), len(families), sharex=True, sharey=True, squeeze=False)
    figure.suptitle(title)
    for row, (position, where) in enumerate(POSITIONS.items()):
        for column, family in enumerate(families):
            axis = axes[row][column]
            held = cells.filter((pl.col("position") == position) & (pl.col("family") == family))
            _random_band(axis, held)
            variants = [name for name in names(held) if name not in nulls(held)]
            for n, variant in enumerate(variants):
                line = held.filter(pl.col("name") == variant).sort("layer")
                x = line["layer"].to_numpy()
                colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
                axis.plot(
                    x,
                    line["auroc"],
                    color=colour,
                    marker=marker,
                    ms=4,
                    lw=1.3,
                    label=shown_name(cells, variant),
                )
                axis.fill_between(
                    x, line["auroc_low"], line["auroc_high"], color=colour, alpha=0.12, lw=0
                )
            axis.set_title(f"{family}, {where}\n{_counts(held)}", fontsize=9)
            axis.set_ylim(-0.02, 1.02)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.axhline(0.5, color="black", lw=0.6, ls=":")
    for axis in axes[-1]:
        axis.set_xlabel("layer (block, from 0)")
    for axis in axes[:, 0]:
        axis.set_ylabel("AUROC of the projection")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    return figure


def variants_side_by_side(cells: pl.DataFrame, title: str) -> Figure:
    """AUROC on `test` at the layer chosen on `select`, a panel a family, a row a variant."""
    cells = pooled(cells).filter("chosen")
    families = cells["family"].unique(maintain_order=True).to_list()
    variants = names(cells)
    figure = Figure(
        figsize=(3.1 * len(families) + 2.6, 0.42 * len(variants) + 2.2), layout="constrained"
    )
    axes = figure.subplots(1, len(families), sharex=True, sharey=True, squeeze=False)[0]
    figure.suptitle(title)
    for axis, family in zip(axes, families, strict=True):
        held = cells.filter(pl.col("family") == family)
        for n, (position, where) in enumerate(POSITIONS.items()):
            part = held.filter(pl.col("position") == position)
            y = np.array([variants.index(name) for name in part["name"]]) + (n - 0.5) * 0.28
            value = part["auroc"].to_numpy()
            reach = np.abs(np.stack([part["auroc_low"], part["auroc_high"]]) - value)
            for k in range(len(y)):
                band = [part["random_low"][k], part["random_high"][k]]
                axis.plot(band, [y[k], y[k]], color=NULL, lw=7, solid_capstyle="butt", zorder=0)
            axis.errorbar(
                value, y, xerr=reach, fmt=MARKERS[n], ms=5, lw=1.4, color=COLOURS[n], label=where
            )
        axis.plot([], [], color=NULL, lw=7, label="95% of random directions")
        axis.axvline(0.5, color="black", lw=0.6, ls=":")
        kind = held["generalisation"][0]
        axis.set_title(f"{family} ({kind})\n{_counts(held)}", fontsize=9)
        axis.set_xlim(-0.02, 1.02)
        axis.set_xlabel("AUROC, 95% interval")
    axes[0].set_yticks(range(len(variants)), [shown_name(cells, name) for name in variants])
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def auroc_by_pairs(found: pl.DataFrame, title: str) -> Figure:
    """AUROC against the number of pairs: a column a family, a row a way of pairing.

    Lines are means over draws of the pairs, bands hold the middle 95% of them.
    """
    families = found["family"].unique(maintain_order=True).to_list()
    methods = found["method"].unique(maintain_order=True).to_list()
    draws = found["draws"].max() if len(found) else 0
    figure = Figure(figsize=(3.2 * max(len(families), 1) + 2.4, 5.6), layout="constrained")
    axes = figure.subplots(2, max(len(families), 1), sharex=True, sharey=True, squeeze=False)
    figure.suptitle(f"{title}\nmean and middle 95% of {draws} draws", fontsize=10)
    for row, (paired, how) in enumerate(((True, "both answers of n"), (False, "n and n other"))):
        for column, family in enumerate(families):
            axis = axes[row][column]
            for n, method in enumerate(methods):
                line = found.filter(
                    pl.col("method") == method,
                    pl.col("paired") == paired,
                    pl.col("family") == family,
                ).sort("pairs")
                colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
                if method == "shuffled":
                    colour = NULL
                x = line["pairs"].to_numpy()
                axis.plot(x, line["auroc"], color=colour, marker=marker, ms=4, lw=1.3, label=method)
                axis.fill_between(x, line["low"], line["high"], color=colour, alpha=0.1, lw=0)
            axis.axhline(0.5, color="black", lw=0.6, ls=":")
            axis.set_title(f"{family}, {how} questions", fontsize=9)
            axis.set_xscale("log", base=2)
            axis.set_ylim(-0.02, 1.02)
    for axis in axes[-1]:
        axis.set_xlabel("pairs (log scale)")
    for axis in axes[:, 0]:
        axis.set_ylabel("AUROC of the projection")
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    return figure


def transfer_matrix(transfer: pl.DataFrame, title: str) -> Figure:
    """AUROC of the vectors made from each set (rows) on each family (columns), with 95% intervals
    and the cosines, Euclidean and Mahalanobis, with the family's own vector."""
    sets = transfer["prompt_set"].unique(maintain_order=True).to_list()
    families = transfer["family"].unique(maintain_order=True).to_list()
    figure = Figure(
        figsize=(2.2 * max(len(families), 1) + 3.2, 0.9 * max(len(sets), 1) + 1.6),
        layout="constrained",
    )
    axis = figure.subplots()
    figure.suptitle(title, fontsize=10)
    areas = np.full((len(sets), len(families)), np.nan)
    for row in transfer.iter_rows(named=True):
        place = sets.index(row["prompt_set"]), families.index(row["family"])
        areas[place] = row["auroc"]
        angles = f"cosine {row['cosine']:.2f}, {row['mahalanobis']:.2f}"
        axis.text(
            place[1],
            place[0],
            f"{row['auroc']:.2f} [{row['auroc_low']:.2f}, {row['auroc_high']:.2f}]\n"
            + ("its own vector" if row["own"] else angles),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if abs(row["auroc"] - 0.5) > 0.35 else "black",
        )
    # Orange to purple, through white at chance: apart for every kind of colour vision.
    image = axis.imshow(areas, cmap="PuOr", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(families)), families)
    axis.set_yticks(range(len(sets)), [f"made from {name}" for name in sets])
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, label="AUROC of the projection, after the prompt")
    return figure


def label_against_cosine(scores: pl.DataFrame, title: str) -> Figure:
    """The original study's picture: is the answer sycophantic, against the cosine with the vector.

    `scores` holds the test answers of one vector (`family`, `item`, `position`, `layer`, `cosine`,
    `label`). Points are jittered; squares are the share sycophantic in each fifth; the curve is a
    logistic fit. The AUROC has its interval, clustered by item, and what shuffled labels give.
    """
    families = scores["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.5 * len(families) + 0.6, 6.4), layout="constrained")
    axes = figure.subplots(len(POSITIONS), len(families), squeeze=False, sharey=True)
    figure.suptitle(title)
    draw = np.random.default_rng(0)
    for row, (position, where) in enumerate(POSITIONS.items()):
        for column, family in enumerate(families):
            axis = axes[row][column]
            fit = (pl.col("position") == position) & (pl.col("family") == family)
            held = scores.filter(fit)
            axis.set_xlabel("cosine of the state with the vector")
            axis.set_title(f"{family}, {where}: no answers", fontsize=8.5)
            if len(held) == 0:
                continue
            x, y, items = (held[name].to_numpy() for name in ("cosine", "label", "item"))
            area = clustered_auroc(x, y, items)
            low, high = shuffled_auroc(x, y, 1000, seed=0)
            jittered = y + draw.uniform(-0.06, 0.06, len(y))
            axis.plot(x, jittered, ".", ms=3, alpha=0.35, color=COLOURS[0], zorder=0)
            _fifths(axis, x, y)
            _logistic_curve(axis, x, y)
            axis.set_title(
                f"{family}, {where}, layer {held['layer'][0]}\n"
                f"n = {len(y)} in {len(set(items))} items, AUROC {area.value:.2f} "
                f"[{area.low:.2f}, {area.high:.2f}]\nshuffled labels {low:.2f} to {high:.2f}",
                fontsize=8.5,
            )
        axes[row][0].set_ylabel("answer")
        axes[row][0].set_yticks([0, 0.5, 1], ["other", "50%", "sycophantic"])
    return figure


def _counts(held: pl.DataFrame) -> str:
    row = held.row(0, named=True)
    return f"n = {row['n']} in {row['items']} items, {row['n_sycophantic']} sycophantic"


def _random_band(axis: Axes, held: pl.DataFrame) -> None:
    line = held.unique("layer").sort("layer")
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
