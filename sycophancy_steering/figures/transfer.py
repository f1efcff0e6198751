"""Pictures of how many pairs a vector needs, and where it carries over."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from sycophancy_steering.figures.style import COLOURS, MARKERS, NULL, chance_line, legend_of
from sycophancy_steering.storage.cell_files import kind


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
            chance_line(axis)
            axis.set_title(f"{family}, {how} questions", fontsize=9)
            axis.set_xscale("log", base=2)
            axis.set_ylim(-0.02, 1.02)
    for axis in axes[-1]:
        axis.set_xlabel("pairs (log scale)")
    for axis in axes[:, 0]:
        axis.set_ylabel("AUROC of the projection")
    legend_of(axes[0][0], figure, aside=True)
    return figure


def transfer_matrix(transfer: pl.DataFrame, title: str) -> Figure:
    """AUROC of the vectors made from each set (rows) on each family, and each source of a family
    that has several (columns), with 95% intervals and the cosines, Euclidean and Mahalanobis, with
    the column's own vector."""
    sets = transfer["prompt_set"].unique(maintain_order=True).to_list()
    transfer = transfer.with_columns(kind())
    families = transfer["kind"].unique(maintain_order=True).to_list()
    figure = Figure(
        figsize=(2.2 * max(len(families), 1) + 3.2, 0.9 * max(len(sets), 1) + 1.6),
        layout="constrained",
    )
    axis = figure.subplots()
    figure.suptitle(title, fontsize=10)
    areas = np.full((len(sets), len(families)), np.nan)
    for row in transfer.iter_rows(named=True):
        place = sets.index(row["prompt_set"]), families.index(row["kind"])
        areas[place] = row["auroc"]
        known = row["cosine"] == row["cosine"]  # not where the family has no vector of its own
        angles = f"cosine {row['cosine']:.2f}, {row['mahalanobis']:.2f}" if known else ""
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
