"""Pictures of what steering does. Each takes tables of `steered.py` and returns a figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sycophancy_steering.figures.style import (
    COLOURS,
    MARKERS,
    NULL,
    chance_line,
    legend_of,
    line_with_band,
    panels,
    points_with_intervals,
)
from sycophancy_steering.interventions.ablation_tables import ANEW, SAME
from sycophancy_steering.interventions.steering_settings import OWN

KINDS = {"rate_0": "answered otherwise by itself", "rate_1": "sycophantic by itself"}


def dose_response(doses: pl.DataFrame, title: str) -> Figure:
    """The share that is sycophantic against what is added of one vector, a panel a family, a line
    for either kind of question; grey, the range of random vectors of the same length."""
    families = doses["family"].unique(maintain_order=True).to_list()
    figure, [axes] = panels(families, title, 3.6)
    added = doses.filter(pl.col("kind") == "add")
    for axis, family in zip(axes, families, strict=True):
        held = added.filter(pl.col("family") == family)
        own = held.filter(pl.col("direction") == OWN).sort("dose")
        random = held.filter(pl.col("direction") != OWN)
        for n, (rate, label) in enumerate(KINDS.items()):
            kind = rate[-1]
            before = own[f"before_{kind}"][0]
            as_it_is = own.head(1).with_columns(
                pl.lit(0.0).alias("dose"),
                *(pl.lit(before).alias(f"{rate}{end}") for end in ("", "_low", "_high")),
            )
            line = pl.concat([own, as_it_is]).sort("dose")
            line_with_band(axis, line, ("dose", rate, f"{rate}_low", f"{rate}_high"), n, label)
            ends = random.group_by("dose").agg(
                pl.col(rate).min().alias("low"), pl.col(rate).max().alias("high")
            )
            for row in ends.iter_rows(named=True):
                axis.plot([row["dose"]] * 2, [row["low"], row["high"]], color=NULL, lw=6, zorder=0)
        axis.plot([], [], color=NULL, lw=6, label="random vectors, all of them")
        counts = f"n = {own['n_0'][0]} and {own['n_1'][0]} in {own['items'][0]} items"
        axis.set_title(f"{family}\n{counts}", fontsize=9)
        axis.set_xlabel("added, in natural gaps")
        axis.set_ylim(-0.03, 1.03)
    axes[0].set_ylabel("share sycophantic, 95% interval")
    legend_of(axes[0], figure)
    return figure


def taken_out(doses: pl.DataFrame, title: str) -> Figure:
    """The share of either kind of question that is sycophantic: as it is, with the component
    removed, set to its mean, or erased; grey, the range of random vectors."""
    families = doses["family"].unique(maintain_order=True).to_list()
    ways = {
        "remove": "component removed",
        "everywhere": "at every layer, token",
        "mean": "set to its mean",
        "leace": "erased (LEACE)",
    }
    figure, [axes] = panels(families, title, 3.2)
    for axis, family in zip(axes, families, strict=True):
        held = doses.filter(pl.col("family") == family)
        own = held.filter((pl.col("direction") == OWN) & pl.col("kind").is_in(list(ways)))
        y = np.array([list(ways).index(kind) + 1.0 for kind in own["kind"]])
        for n, (rate, label) in enumerate(KINDS.items()):
            shift = (n - 0.5) * 0.28
            points_with_intervals(
                axis, y + shift, own, (rate, f"{rate}_low", f"{rate}_high"), n, label
            )
            colour, marker = COLOURS[n], MARKERS[n]
            axis.plot(own[f"before_{rate[-1]}"][0], shift, marker, color=colour, ms=5)
            for kind, at in zip(own["kind"], y, strict=True):
                random = held.filter(pl.col("direction") != OWN, pl.col("kind") == kind)[rate]
                if len(random):
                    ends = np.array([random.min(), random.max()], float) + np.array([-0.01, 0.01])
                    axis.plot(ends, [at + shift] * 2, color=NULL, lw=7, zorder=0)
        axis.plot([], [], color=NULL, lw=7, label="random vectors, all of them")
        counts = f"n = {own['n_0'][0]} and {own['n_1'][0]} in {own['items'][0]} items"
        axis.set_title(f"{family}\n{counts}", fontsize=9)
        axis.set_xlim(-0.03, 1.03)
        axis.set_xlabel("share sycophantic, 95% interval")
    axes[0].set_yticks(range(len(ways) + 1), ["as it is", *ways.values()])
    axes[0].invert_yaxis()
    legend_of(axes[0], figure)
    return figure


def read_afterwards(read: pl.DataFrame, title: str) -> Figure:
    """Once something is taken out: a line a way of taking it out; dashed, a random direction."""
    own = pl.col("direction").is_null() | (pl.col("direction") == OWN)
    kinds = read.drop_nulls("kind")["kind"].unique(maintain_order=True)
    lines = {"as it is": pl.col("kind").is_null()}
    lines |= {kind: own & (pl.col("kind") == kind) for kind in kinds}
    return read_by_layer(read, lines, title, ~own & (pl.col("kind") == "remove"))


def read_by_layer(
    read: pl.DataFrame, lines: Mapping[str, pl.Expr], title: str, random: pl.Expr | None = None
) -> Figure:
    """AUROC by layer of who is sycophantic where nothing is done, a line each of `lines` (rows of
    `read`): by the same vector (above) and by one made anew (below)."""
    families = read["family"].unique(maintain_order=True).to_list()
    figure, rows = panels(families, title, 6.0, rows=2, aside=1.8)
    columns = "read_layer", "auroc", "auroc_low", "auroc_high"
    ways = (SAME, "the same vector"), (ANEW, "a vector made anew")
    for axes, (by, words) in zip(rows, ways, strict=True):
        for axis, family in zip(axes, families, strict=True):
            held = read.filter(pl.col("family") == family, pl.col("by") == by)
            for n, (label, fit) in enumerate(lines.items()):
                line_with_band(axis, held.filter(fit), columns, n, label)
            if random is not None:
                null = held.filter(random)
                axis.plot(null["read_layer"], null["auroc"], "--", color=NULL, label="random")
            counts = f"n = {held['n'][0]} in {held['items'][0]} items"
            axis.set_title(f"{family}, by {words}\n{counts}", fontsize=8.5)
            chance_line(axis)
            axis.set_ylim(-0.02, 1.02)
        axes[0].set_ylabel("AUROC, 95% interval")
    for axis in rows[-1]:
        axis.set_xlabel("read at layer")
    legend_of(rows[0][0], figure, aside=True)
    return figure


def two_layers(layers: pl.DataFrame, title: str) -> Figure:
    """How far adding at two layers is from the sum of both, in log-odds: a panel a family; bold
    where the interval, which holds for all of them at once, does not hold 0."""
    families = layers["family"].unique(maintain_order=True).to_list()
    down, across = (sorted(layers[each].unique()) for each in ("layer", "second"))
    figure, [axes] = panels(families, title, 4.5)
    largest = float(layers["departure"].abs().max())  # type: ignore[arg-type]
    colours = Normalize(-largest, largest)
    for axis, family in zip(axes, families, strict=True):
        held = layers.filter(pl.col("family") == family)
        grid = np.full((len(down), len(across)), np.nan)
        for row in held.iter_rows(named=True):
            place = down.index(row["layer"]), across.index(row["second"])
            value, low, high = (float(row[f"departure{end}"]) for end in ("", "_low", "_high"))
            grid[place] = value
            shown = [round(each, 2) + 0.0 for each in (value, low, high)]  # no -0.0
            axis.text(
                place[1],
                place[0],
                f"{shown[0]:.2f}\n[{shown[1]:.2f}, {shown[2]:.2f}]",
                ha="center",
                va="center",
                fontsize=7,
                weight="normal" if low <= 0 <= high else "bold",
            )
        axis.imshow(grid, cmap="PuOr", norm=colours, alpha=0.7)
        axis.set_title(f"{family}\nn = {held['n'][0]} in {held['items'][0]} items", fontsize=9)
        axis.set_xticks(range(len(across)), across)
        axis.set_yticks(range(len(down)), down)
        axis.set_xlabel("and at layer")
    axes[0].set_ylabel("added at layer")
    bar = ScalarMappable(colours, "PuOr")
    figure.colorbar(
        bar,
        ax=axes,
        label="departure from the sum, log-odds\n95% interval of all at once",
        shrink=0.8,
    )
    return figure


def foretells_and_does(effects: pl.DataFrame, agreement: pl.DataFrame, title: str) -> Figure:
    """What each vector does at each layer, added and taken out, against what it foretells there."""
    families = effects["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.3 * len(families) + 1.6, 6.2), layout="constrained")
    axes = figure.subplots(2, len(families), sharex=True, squeeze=False)
    figure.suptitle(title, fontsize=10)
    depth = sorted(effects["layer"].unique())
    for row, (key, label) in enumerate((("slope", "added"), ("removal", "taken out"))):
        for axis, family in zip(axes[row], families, strict=True):
            held = effects.filter(pl.col("family") == family).drop_nulls("auroc")
            for layer in depth:
                at = held.filter(pl.col("layer") == layer)
                reach = np.abs(
                    at.select(f"{key}_low", f"{key}_high").to_numpy().T - at[key].to_numpy()
                )
                colour, marker = COLOURS[layer % len(COLOURS)], MARKERS[layer % len(MARKERS)]
                style = {"fmt": marker, "ms": 4, "lw": 0.7, "color": colour, "alpha": 0.8}
                axis.errorbar(at["auroc"], at[key], yerr=reach, label=f"layer {layer}", **style)
            told = agreement.filter(pl.col("family") == family).row(0, named=True)
            axis.set_title(
                f"{family}, {label}: rank correlation {told[key]:.2f}\n"
                f"[{told[f'{key}_low']:.2f}, {told[f'{key}_high']:.2f}] over {told['n']} vectors "
                "x layers",
                fontsize=8.5,
            )
            axis.axhline(0, color="black", lw=0.6, ls=":")
            axis.axvline(0.5, color="black", lw=0.6, ls=":")
        axes[row][0].set_ylabel(f"log-odds, {label}")
    for axis in axes[-1]:
        axis.set_xlabel("AUROC on test, after the prompt")
    legend_of(axes[0][0], figure, aside=True)
    return figure
