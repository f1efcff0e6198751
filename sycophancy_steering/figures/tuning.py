"""Pictures of what training does, beside steering and prompts of as many examples."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from sycophancy_steering.figures.steering import read_by_layer
from sycophancy_steering.figures.style import (
    COLOURS,
    MARKERS,
    NULL,
    chance_line,
    legend_of,
    line_with_band,
    panels,
)
from sycophancy_steering.tuning.settings import TRUE

WAYS = (
    "steering", "in-context vector", "sft", "dpo", "distillation", "few-shot", "good and bad",
)  # fmt: skip


def by_examples(ways: pl.DataFrame, title: str) -> Figure:
    """The share turned against the number of examples: a column a family, a row a direction; bands
    from the least to the most of one draw."""
    held = ways.filter(pl.col("labels") == TRUE, pl.col("turned").is_not_null())
    families = held["family"].unique(maintain_order=True).to_list()
    title = f"{title}; lines: all draws, bands: least to most of one"
    figure, axes = panels(families, title, 6.2, rows=2, aside=1.8)
    columns = "examples", "turned", "least", "most"
    for row, (towards, words) in enumerate(((False, "away"), (True, "towards"))):
        for axis, family in zip(axes[row], families, strict=True):
            mine = held.filter(pl.col("family") == family, pl.col("towards") == towards)
            for n, way in enumerate(WAYS):
                line = mine.filter(pl.col("way") == way).sort("examples")
                label = f"{way} of what fits" if way == "distillation" else way
                line_with_band(axis, line, columns, n, label)
            told = mine.filter(pl.col("way") == "instruction")
            for value in told["turned"]:
                axis.axhline(value, color=NULL, lw=1.5, ls="--", label="instruction, no examples")
            axis.set_title(
                f"{family}, {words}\nn = {mine['n_turned'][0]}, {mine['seeds'].max()} draws",
                fontsize=8.5,
            )
            axis.set_xscale("log", base=2)
            ticks = sorted(line_ticks(mine))
            axis.set_xticks(ticks, [str(each) for each in ticks])
            axis.minorticks_off()
            axis.set_ylim(-0.03, 1.03)
        axes[row][0].set_ylabel("share of answers turned")
    for axis in axes[-1]:
        axis.set_xlabel("examples")
    legend_of(axes[0][0], figure, aside=True)
    return figure


def line_ticks(ways: pl.DataFrame) -> list[int]:
    """Numbers of examples, but for none."""
    return ways.filter(pl.col("examples") > 0)["examples"].unique().to_list()


def from_weak_labels(ways: pl.DataFrame, title: str) -> Figure:
    """The share turned by whose labels the examples have, with intervals clustered by item."""
    most = ways["examples"].max()
    methods = ["steering", "sft", "dpo"]
    held = ways.filter(pl.col("examples") == most, pl.col("way").is_in(methods))
    families = held["family"].unique(maintain_order=True).to_list()
    graders = held["labels"].unique(maintain_order=True).to_list()
    figure, axes = panels(families, title, 6.0, rows=2, aside=1.8)
    for row, (towards, words) in enumerate(((False, "away"), (True, "towards"))):
        for axis, family in zip(axes[row], families, strict=True):
            mine = held.filter(pl.col("family") == family, pl.col("towards") == towards)
            for n, way in enumerate(methods):
                of = mine.filter(pl.col("way") == way)
                x = [graders.index(each) + (n - 1) * 0.2 for each in of["labels"]]
                reach = [
                    (of["turned"] - of["turned_low"]).abs(),
                    (of["turned_high"] - of["turned"]).abs(),
                ]
                axis.errorbar(
                    x, of["turned"], yerr=reach, fmt=MARKERS[n], color=COLOURS[n], ms=5, label=way
                )
            axis.set_title(f"{family}, {words}\nn = {mine['n_turned'][0]}", fontsize=8.5)
            axis.set_ylim(-0.03, 1.03)
            axis.set_xticks(range(len(graders)), graders, fontsize=8)
        axes[row][0].set_ylabel("share turned, 95% interval")
    for axis in axes[-1]:
        axis.set_xlabel("labels of the examples")
    legend_of(axes[0][0], figure, aside=True)
    return figure


def differences_by_layer(angles: pl.DataFrame, title: str) -> Figure:
    """Cosine with the vector of prompts by layer, a line a way of training; bands from the least to
    the most of one draw; grey, where 95% of directions lie that are drawn as the states lie."""
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axis = figure.subplots()
    kinds = angles.select("method", "on").unique(maintain_order=True).rows()
    for n, (method, on) in enumerate(kinds):
        held = angles.filter(pl.col("method") == method, pl.col("on") == on)
        columns = "layer", "cosine", "cosine_low", "cosine_high"
        line_with_band(
            axis, held, columns, n, f"{method} on {on}", "-" if method == "sft" else "--"
        )
    null = angles.unique("layer", maintain_order=True)
    axis.fill_between(
        null["layer"],
        -null["random"],
        null["random"],
        color=NULL,
        alpha=0.4,
        lw=0,
        label="random, 95%",
    )
    seeds = angles["seeds"][0]
    axis.set_title(f"{title}\n{seeds} draws; bands: least to most of one", fontsize=10)
    chance_line(axis, 0.0)
    axis.set_xlabel("layer")
    axis.set_ylabel("cosine with the vector of prompts")
    legend_of(axis, figure, aside=True)
    return figure


def read_after_repair(repaired: pl.DataFrame, title: str) -> Figure:
    """In the model as it is, and after each way of training it away from sycophancy; intervals are
    the widest of all draws."""
    methods = repaired.drop_nulls("method")["method"].unique(maintain_order=True)
    lines = {"as it is": pl.col("method").is_null()}
    lines |= {f"after {method}": pl.col("method") == method for method in methods}
    return read_by_layer(repaired, lines, title)
