"""Which vector predicts best, what the projection adds, and which choices move predictivity."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from sycophancy_steering.figures.style import (
    NULL,
    chance_line,
    points_with_intervals,
    shared_legend,
)
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.storage.cell_files import POSITIONS, family_and_source

AUROC = tuple(estimate("auroc"))


def selected_against_shuffled(selected: pl.DataFrame, title: str) -> Figure:
    """The best vector for each family and position, over what the same choice finds by chance.

    `selected` holds one model's rows of the table SELECTED; chance is the central 95% among vectors
    from shuffled pairs.
    """
    n_cells = selected["n_cells"].max() if len(selected) else 0
    figure = Figure(figsize=(8.5, 0.5 * len(selected) + 1.8), layout="constrained")
    axis = figure.subplots()
    figure.suptitle(f"{title}\nselected among {n_cells} cells", fontsize=10)
    if len(selected):
        y = np.arange(len(selected))
        low, high = (selected[bound].to_numpy() for bound in ("shuffled_low", "shuffled_high"))
        null = {"color": NULL, "edgecolor": NULL, "linewidth": 2, "label": "shuffled pairs, 95%"}
        axis.barh(y, high - low, left=low, height=0.55, **null)
        points_with_intervals(axis, y, selected, AUROC, 0, "selected vector, 95% interval")
        names = [
            f"{row['family']}, {POSITIONS[row['position']]} (n = {row['n']})\n"
            f"{row['vector']}, layer {row['layer']}"
            for row in selected.iter_rows(named=True)
        ]
        axis.set_yticks(y, names, fontsize=8)
        axis.invert_yaxis()
        shared_legend(axis, figure)
    chance_line(axis, vertical=True)
    axis.set_xlim(-0.02, 1.02)
    axis.set_xlabel("AUROC on test")
    return figure


def incremental_validity(validity: pl.DataFrame, title: str) -> Figure:
    """AUROC of the text, the margin and the projection; and what the projection adds to the first
    two. `validity` is the table INCREMENTAL_VALIDITY."""
    named = validity.with_columns(family_and_source().alias("name"))
    names = named["name"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(9, 0.55 * max(len(names), 1) + 2.2), layout="constrained")
    alone, added = figure.subplots(1, 2, sharey=True)
    figure.suptitle(title, fontsize=10)
    sizes: dict[str, int] = {}
    for n, predictor in enumerate(("text", "margin", "projection")):
        rows = named.filter(pl.col("predictor") == predictor)
        y = np.array([names.index(name) for name in rows["name"]]) + (n - 1) * 0.22
        sizes |= dict(zip(rows["name"], rows["n"], strict=True))
        points_with_intervals(alone, y, rows, AUROC, n, predictor)
    for n, predictor in enumerate(("text", "margin")):
        rows = named.filter(pl.col("predictor") == f"{predictor} + projection")
        y = np.array([names.index(name) for name in rows["name"]]) + (n - 1) * 0.22
        points_with_intervals(
            added, y, rows, tuple(estimate("added_auroc")), n, f"added to {predictor}"
        )
    alone.set_yticks(
        range(len(names)), [f"{name}\nn = {sizes[name]}" for name in names], fontsize=8
    )
    alone.invert_yaxis()
    alone.set_xlabel("AUROC on test, 95% interval")
    added.set_xlabel("AUROC that the projection adds, 95% interval")
    chance_line(alone, vertical=True)
    chance_line(added, 0.0, vertical=True)
    shared_legend(alone, figure)
    return figure


COMPONENTS = {
    "between_sets": "prompt set",
    "between_methods": "method",
    "interaction": "interaction",
    "largest_gap": "best minus worst vector",
}


def variance_components(components: pl.DataFrame, title: str) -> Figure:
    """How far the AUROC varies between prompt sets, between methods, and by their interaction.

    `components` holds one model's rows of the table VARIANCE_COMPONENTS.
    """
    families = components["family"].to_list()
    figure = Figure(figsize=(8, 0.7 * max(len(families), 1) + 2), layout="constrained")
    axis = figure.subplots()
    figure.suptitle(title, fontsize=10)
    for n, (name, label) in enumerate(COMPONENTS.items() if families else ()):
        y = np.arange(len(families)) + (n - 1.5) * 0.18
        points_with_intervals(axis, y, components, tuple(estimate(name)), n, label)
    if families:
        row = components.row(0, named=True)
        axis.set_title(f"{row['n_sets']} sets x {row['n_methods']} methods", fontsize=9)
        axis.set_yticks(range(len(families)), families)
        axis.invert_yaxis()
        shared_legend(axis, figure)
    axis.set_xlim(left=0)
    axis.set_xlabel("standard deviation of the AUROC (last: difference of AUROCs), 95% interval")
    return figure
