"""Pictures of what does best, of what the projection adds, and of what moves predictivity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from sycophancy_steering.figures.style import NULL, chance_line, legend_of, points_with_intervals
from sycophancy_steering.storage.cell_files import POSITIONS, kind

AREA = ("auroc", "auroc_low", "auroc_high")


def best_against_chance(
    selected: Mapping[str, float | str], families: list[str], title: str
) -> Figure:
    """The best way of predicting each family (chosen on `select`) on `test`, over what the same
    choice finds among vectors from shuffled pairs."""
    rows = []
    for family in families:
        for suffix, where in zip(("", "_after"), POSITIONS.values(), strict=True):
            if f"{family}{suffix}_chosen" in selected:
                ends = ("chosen", "auroc", "low", "high", "chance_low", "chance_high")
                rows.append(
                    {"family": family, "where": where}
                    | {end: selected[f"{family}{suffix}_{end}"] for end in ends}
                )
    held = pl.DataFrame(rows)
    figure = Figure(figsize=(8.5, 0.5 * len(rows) + 1.8), layout="constrained")
    axis = figure.subplots()
    figure.suptitle(f"{title}\n{selected['cells_tried']} cells tried", fontsize=10)
    if rows:
        y = np.arange(len(rows))
        low, high = held["chance_low"].to_numpy(), held["chance_high"].to_numpy()
        null = {"color": NULL, "edgecolor": NULL, "linewidth": 2, "label": "shuffled pairs, 95%"}
        axis.barh(y, high - low, left=low, height=0.55, **null)
        points_with_intervals(
            axis, y, held, ("auroc", "low", "high"), 0, "the choice, 95% interval"
        )
        names = [
            f"{row['family']}, {row['where']}\n{row['chosen']}"
            for row in held.iter_rows(named=True)
        ]
        axis.set_yticks(y, names, fontsize=8)
        axis.invert_yaxis()
        legend_of(axis, figure)
    chance_line(axis, vertical=True)
    axis.set_xlim(-0.02, 1.02)
    axis.set_xlabel("AUROC of the projection on the test split")
    return figure


def what_it_adds(gain: pl.DataFrame, title: str) -> Figure:
    """AUROC of words, margin and projection, a panel; and what the projection adds to each of the
    first two, another."""
    gain = gain.with_columns(kind())
    kinds = gain["kind"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(9, 0.55 * max(len(kinds), 1) + 2.2), layout="constrained")
    alone, added = figure.subplots(1, 2, sharey=True)
    figure.suptitle(title, fontsize=10)
    sizes = {}
    for n, way in enumerate(("text", "margin", "projection")):
        held = gain.filter(pl.col("way") == way)
        y = np.array([kinds.index(each) for each in held["kind"]]) + (n - 1) * 0.22
        sizes |= dict(zip(held["kind"], held["n"], strict=True))
        points_with_intervals(alone, y, held, AREA, n, "words" if way == "text" else way)
    for n, way in enumerate(("text", "margin")):
        held = gain.filter(pl.col("way") == f"{way} + projection")
        y = np.array([kinds.index(each) for each in held["kind"]]) + (n - 1) * 0.22
        columns = ("gain", "gain_low", "gain_high")
        points_with_intervals(added, y, held, columns, n, f"added to {way}")
    alone.set_yticks(
        range(len(kinds)), [f"{each}\nn = {sizes[each]}" for each in kinds], fontsize=8
    )
    alone.invert_yaxis()
    alone.set_xlabel("AUROC on the test split, 95% interval")
    added.set_xlabel("AUROC that the projection adds, 95% interval")
    chance_line(alone, vertical=True)
    chance_line(added, 0.0, vertical=True)
    legend_of(alone, figure)
    return figure


SPREADS = {
    "between_sets": "prompt set",
    "between_methods": "method",
    "together": "method that suits a set",
    "largest_gap": "best minus worst",
}


def what_moves_it(variation: pl.DataFrame, title: str) -> Figure:
    """By how much the AUROC varies with the prompt set, the method, and both together."""
    families = variation["family"].to_list()
    figure = Figure(figsize=(8, 0.7 * max(len(families), 1) + 2), layout="constrained")
    axis = figure.subplots()
    figure.suptitle(title, fontsize=10)
    for n, (name, label) in enumerate(SPREADS.items() if families else ()):
        y = np.arange(len(families)) + (n - 1.5) * 0.18
        points_with_intervals(axis, y, variation, (name, f"{name}_low", f"{name}_high"), n, label)
    if families:
        row = variation.row(0, named=True)
        axis.set_title(f"{row['sets']} sets x {row['methods']} methods", fontsize=9)
        axis.set_yticks(range(len(families)), families)
        axis.invert_yaxis()
        legend_of(axis, figure)
    axis.set_xlim(left=0)
    axis.set_xlabel("standard deviation of the AUROC (last: difference), 95% interval")
    return figure
