"""How many pairs a vector needs, and where it transfers."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from sycophancy_steering.figures.style import COLOURS, MARKERS, NULL, chance_line, shared_legend
from sycophancy_steering.formatting.numbers import (
    MISSING,
    interval_of,
    interval_text,
    number_text,
)
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.storage.cell_files import family_and_source


def auroc_by_pairs(efficiency: pl.DataFrame, title: str) -> Figure:
    """AUROC against the number of pairs, by family, with pairing (above) and without (below).

    Lines are means over resamples of the pairs, bands their central 95%. `efficiency` is the table
    SAMPLE_EFFICIENCY.
    """
    _, low, high = estimate("auroc")
    families = efficiency["family"].unique(maintain_order=True).to_list()
    methods = efficiency["method"].unique(maintain_order=True).to_list()
    n_resamples = efficiency["n_resamples"].max() if len(efficiency) else 0
    figure = Figure(figsize=(3.2 * max(len(families), 1) + 2.4, 5.6), layout="constrained")
    axes = figure.subplots(2, max(len(families), 1), sharex=True, sharey=True, squeeze=False)
    figure.suptitle(f"{title}\nmean and central 95% of {n_resamples} resamples", fontsize=10)
    for row, (paired, words) in enumerate(((True, "both answers of n"), (False, "n and n other"))):
        for column, family in enumerate(families):
            axis = axes[row][column]
            for n, method in enumerate(methods):
                line = efficiency.filter(
                    pl.col("method") == method,
                    pl.col("paired") == paired,
                    pl.col("family") == family,
                ).sort("n_pairs")
                colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
                if method == "shuffled":
                    colour = NULL
                x = line["n_pairs"].to_numpy()
                axis.plot(x, line["auroc"], color=colour, marker=marker, ms=4, lw=1.3, label=method)
                axis.fill_between(x, line[low], line[high], color=colour, alpha=0.1, lw=0)
            chance_line(axis)
            axis.set_title(f"{family}, {words} questions", fontsize=9)
            axis.set_xscale("log", base=2)
            axis.set_ylim(-0.02, 1.02)
    for axis in axes[-1]:
        axis.set_xlabel("pairs (log scale)")
    for axis in axes[:, 0]:
        axis.set_ylabel("AUROC on test")
    shared_legend(axes[0][0], figure, beside=True)
    return figure


def transfer_matrix(transfer: pl.DataFrame, title: str) -> Figure:
    """AUROC of the vectors made from each set (rows) on each family or source (columns).

    Cells show 95% intervals and the cosines, Euclidean and Mahalanobis, with the column's own
    vector. `transfer` holds rows of one method and layer of the table TRANSFER.
    """
    sets = transfer["prompt_set"].unique(maintain_order=True).to_list()
    transfer = transfer.with_columns(family_and_source().alias("name"))
    families = transfer["name"].unique(maintain_order=True).to_list()
    figure = Figure(
        figsize=(2.2 * max(len(families), 1) + 3.2, 0.9 * max(len(sets), 1) + 1.6),
        layout="constrained",
    )
    axis = figure.subplots()
    figure.suptitle(title, fontsize=10)
    aurocs = np.full((len(sets), len(families)), np.nan)
    for row in transfer.iter_rows(named=True):
        cell = sets.index(row["prompt_set"]), families.index(row["name"])
        aurocs[cell] = row["auroc"]
        # A family without a vector of its own has no cosine.
        cosines = number_text(row["cosine"]), number_text(row["mahalanobis_cosine"])
        cosine_words = "" if MISSING in cosines else f"cosine {cosines[0]}, {cosines[1]}"
        axis.text(
            cell[1],
            cell[0],
            f"{interval_text(interval_of(row, 'auroc'))}\n"
            + ("its own vector" if row["own_set"] else cosine_words),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if abs(row["auroc"] - 0.5) > 0.35 else "black",
        )
    # Orange to purple, through white at chance: distinguishable for every kind of colour vision.
    image = axis.imshow(aurocs, cmap="PuOr", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(families)), families)
    axis.set_yticks(range(len(sets)), [f"made from {name}" for name in sets])
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, label="AUROC on test after the prompt (95% interval)")
    return figure
