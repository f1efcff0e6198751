"""What adding a vector, or removing it, does. Figures take tables of schemas/interventions.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sycophancy_steering.figures.style import (
    COLOURS,
    MARKERS,
    NULL,
    chance_line,
    line_with_band,
    panels,
    points_with_intervals,
    shared_legend,
)
from sycophancy_steering.formatting.numbers import interval_of, interval_text
from sycophancy_steering.schemas.interventions import ORIGINAL, OWN, REFITTED
from sycophancy_steering.schemas.table import estimate

KINDS = {"rate_0": "other answer when unsteered", "rate_1": "sycophantic when unsteered"}
REMOVALS = {
    "remove": "component removed",
    "everywhere": "at every layer, token",
    "mean": "set to its mean",
    "leace": "erased (LEACE)",
}
UNCHANGED = "no intervention"


def dose_response(responses: pl.DataFrame, title: str) -> Figure:
    """The share of sycophantic answers against the coefficient, a panel for each family.

    A line for either kind of question; grey: the range of random vectors of the same norm.
    `responses` holds one vector's rows of the table DOSE_RESPONSE.
    """
    families = responses["family"].unique(maintain_order=True).to_list()
    figure, [axes] = panels(families, title, 3.6)
    added = responses.filter(pl.col("kind") == "add")
    for axis, family in zip(axes, families, strict=True):
        of_family = added.filter(pl.col("family") == family)
        own = of_family.filter(pl.col("direction") == OWN).sort("coefficient")
        random = of_family.filter(pl.col("direction") != OWN)
        for n, (rate, label) in enumerate(KINDS.items()):
            baseline = own[f"baseline_{rate}"][0]
            unsteered = own.head(1).with_columns(
                pl.lit(0.0).alias("coefficient"),
                *(pl.lit(baseline).alias(column) for column in estimate(rate)),
            )
            line = pl.concat([own, unsteered]).sort("coefficient")
            line_with_band(axis, line, ("coefficient", *estimate(rate)), n, label)
            ranges = random.group_by("coefficient").agg(
                pl.col(rate).min().alias("lowest"), pl.col(rate).max().alias("highest")
            )
            for coefficient, lowest, highest in ranges.iter_rows():
                axis.plot([coefficient] * 2, [lowest, highest], color=NULL, lw=6, zorder=0)
        axis.plot([], [], color=NULL, lw=6, label="random vectors, range")
        counts = f"n = {own['n_0'][0]} and {own['n_1'][0]} in {own['n_items'][0]} items"
        axis.set_title(f"{family}\n{counts}", fontsize=9)
        axis.set_xlabel("coefficient")
        axis.set_ylim(-0.03, 1.03)
    axes[0].set_ylabel("share of sycophantic answers,\n95% interval")
    shared_legend(axes[0], figure)
    return figure


def removal(responses: pl.DataFrame, title: str) -> Figure:
    """The share of sycophantic answers without intervention and after each kind of removal.

    A marker for either kind of question; grey: the range of random vectors. `responses` holds one
    vector's rows of the table DOSE_RESPONSE.
    """
    families = responses["family"].unique(maintain_order=True).to_list()
    kinds = [kind for kind in REMOVALS if kind in {*responses["kind"]}]
    figure, [axes] = panels(families, title, 3.2)
    for axis, family in zip(axes, families, strict=True):
        of_family = responses.filter(pl.col("family") == family, pl.col("kind").is_in(kinds))
        own = of_family.filter(pl.col("direction") == OWN)
        random = of_family.filter(pl.col("direction") != OWN)
        y = np.array([kinds.index(kind) + 1.0 for kind in own["kind"]])
        for n, (rate, label) in enumerate(KINDS.items()):
            offset = (n - 0.5) * 0.28
            points_with_intervals(axis, y + offset, own, tuple(estimate(rate)), n, label)
            colour, marker = COLOURS[n], MARKERS[n]
            axis.plot(own[f"baseline_{rate}"][0], offset, marker, color=colour, ms=5)
            for kind, height in zip(own["kind"], y + offset, strict=True):
                rates = random.filter(pl.col("kind") == kind)[rate]
                if len(rates):
                    ends = np.array([rates.min(), rates.max()], float) + np.array([-0.01, 0.01])
                    axis.plot(ends, [height] * 2, color=NULL, lw=7, zorder=0)
        axis.plot([], [], color=NULL, lw=7, label="random vectors, range")
        counts = f"n = {own['n_0'][0]} and {own['n_1'][0]} in {own['n_items'][0]} items"
        axis.set_title(f"{family}\n{counts}", fontsize=9)
        axis.set_xlim(-0.03, 1.03)
        axis.set_xlabel("share of sycophantic answers,\n95% interval")
    axes[0].set_yticks(range(len(kinds) + 1), [UNCHANGED, *(REMOVALS[kind] for kind in kinds)])
    axes[0].invert_yaxis()
    shared_legend(axes[0], figure)
    return figure


def after_ablation(ablation: pl.DataFrame, title: str) -> Figure:
    """AUROC by layer after each kind of removal; dashed: a random direction removed.

    `ablation` is the table ABLATION.
    """
    own = pl.col("direction").is_null() | (pl.col("direction") == OWN)
    kinds = ablation.drop_nulls("kind")["kind"].unique(maintain_order=True)
    lines = {UNCHANGED: pl.col("kind").is_null()}
    lines |= {REMOVALS[kind]: own & (pl.col("kind") == kind) for kind in kinds}
    return auroc_by_readout_layer(ablation, lines, title, ~own & (pl.col("kind") == "remove"))


def auroc_by_readout_layer(
    readouts: pl.DataFrame, lines: Mapping[str, pl.Expr], title: str, random: pl.Expr | None = None
) -> Figure:
    """AUROC by layer of the unchanged model's labels, a line for each selection of rows in `lines`.

    Above: by the original vector; below: by a vector refitted after the intervention.
    """
    families = readouts["family"].unique(maintain_order=True).to_list()
    figure, rows = panels(families, title, 6.0, rows=2, margin=1.8)
    columns = ("readout_layer", *estimate("auroc"))
    vectors = (ORIGINAL, "original vector"), (REFITTED, "refitted vector")
    for axes, (vector, words) in zip(rows, vectors, strict=True):
        for axis, family in zip(axes, families, strict=True):
            part = readouts.filter(pl.col("family") == family, pl.col("readout_vector") == vector)
            for n, (label, selection) in enumerate(lines.items()):
                line_with_band(axis, part.filter(selection), columns, n, label)
            if random is not None:
                null = part.filter(random)
                axis.plot(null["readout_layer"], null["auroc"], "--", color=NULL, label="random")
            counts = f"n = {part['n'][0]} in {part['n_items'][0]} items"
            axis.set_title(f"{family}, {words}\n{counts}", fontsize=8.5)
            chance_line(axis)
            axis.set_ylim(-0.02, 1.02)
        axes[0].set_ylabel("AUROC on test, 95% interval")
    for axis in rows[-1]:
        axis.set_xlabel("layer that is read")
    shared_legend(rows[0][0], figure, beside=True)
    return figure


def two_layers(shifts: pl.DataFrame, title: str) -> Figure:
    """How far adding at two layers differs from the sum of both, in log-odds, by family.

    Bold where the simultaneous interval excludes 0. `shifts` is the table TWO_LAYERS.
    """
    families = shifts["family"].unique(maintain_order=True).to_list()
    first, second = (sorted(shifts[column].unique()) for column in ("layer", "second_layer"))
    figure, [axes] = panels(families, title, 4.5)
    largest = float(shifts["nonadditivity"].abs().max())  # type: ignore[arg-type]
    colours = Normalize(-largest, largest)
    for axis, family in zip(axes, families, strict=True):
        of_family = shifts.filter(pl.col("family") == family)
        grid = np.full((len(first), len(second)), np.nan)
        for row in of_family.iter_rows(named=True):
            y, x = first.index(row["layer"]), second.index(row["second_layer"])
            interval = interval_of(row, "nonadditivity")
            assert interval
            grid[y, x] = interval.value
            weight = "normal" if interval.low <= 0 <= interval.high else "bold"
            words = interval_text(interval).replace(" [", "\n[")
            axis.text(x, y, words, ha="center", va="center", fontsize=7, weight=weight)
        axis.imshow(grid, cmap="PuOr", norm=colours, alpha=0.7)
        counts = f"n = {of_family['n'][0]} in {of_family['n_items'][0]} items"
        axis.set_title(f"{family}\n{counts}", fontsize=9)
        axis.set_xticks(range(len(second)), second)
        axis.set_yticks(range(len(first)), first)
        axis.set_xlabel("second layer")
    axes[0].set_ylabel("first layer")
    figure.colorbar(
        ScalarMappable(colours, "PuOr"),
        ax=axes,
        label="shift minus the sum of both, log-odds\nsimultaneous 95% intervals",
        shrink=0.8,
    )
    return figure


def effect_against_auroc(effects: pl.DataFrame, agreement: pl.DataFrame, title: str) -> Figure:
    """What each vector does at each layer, added and removed, against its AUROC there.

    `effects` and `agreement` are the tables EFFECTS and AGREEMENT of interventions.
    """
    families = effects["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.3 * len(families) + 1.6, 6.2), layout="constrained")
    axes = figure.subplots(2, len(families), sharex=True, squeeze=False)
    figure.suptitle(title, fontsize=10)
    layers = sorted(effects["layer"].unique())
    for row, (effect, words) in enumerate((("slope", "added"), ("removal", "removed"))):
        for axis, family in zip(axes[row], families, strict=True):
            of_family = effects.filter(pl.col("family") == family).drop_nulls("auroc")
            for layer in layers:
                _effects_at(axis, of_family.filter(pl.col("layer") == layer), effect, layer)
            over_all = agreement.filter(pl.col("family") == family).row(0, named=True)
            axis.set_title(
                f"{family}, {words}: rank correlation\n"
                f"{interval_text(interval_of(over_all, effect))}"
                f" over {over_all['n']} vectors x layers",
                fontsize=8.5,
            )
            chance_line(axis, 0.0)
            chance_line(axis, vertical=True)
        axes[row][0].set_ylabel(f"effect on the log-odds, {words},\n95% interval")
    for axis in axes[-1]:
        axis.set_xlabel("AUROC on test, after the prompt")
    shared_legend(axes[0][0], figure, beside=True)
    return figure


def _effects_at(axis: Axes, effects: pl.DataFrame, effect: str, layer: int) -> None:
    value, low, high = (effects[column].to_numpy() for column in estimate(effect))
    half_widths = np.abs(np.stack([low, high]) - value)
    axis.errorbar(
        effects["auroc"],
        value,
        yerr=half_widths,
        label=f"layer {layer}",
        fmt=MARKERS[layer % len(MARKERS)],
        color=COLOURS[layer % len(COLOURS)],
        ms=4,
        lw=0.7,
        alpha=0.8,
    )
