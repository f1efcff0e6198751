"""Pictures of how consistent vectors are, and of when and where an answer can be read."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sycophancy_steering.analysis.anticipation import READ_IN, TENSES
from sycophancy_steering.figures.style import (
    COLOURS,
    NULL,
    chance_line,
    legend_of,
    line_with_band,
    points_with_intervals,
)

AREA = ("auroc", "auroc_low", "auroc_high")
SOURCES = ("prompt set", "position", "both", "letter", "template", "item", "question", "seed")


def variance_by_source(variance: pl.DataFrame, title: str) -> Figure:
    """What the variance of a vector comes from, a row a source, a mark a set."""
    sets = variance["prompt_set"].unique(maintain_order=True).sort(nulls_last=False).to_list()
    sources = [each for each in SOURCES if each in variance["source"].to_list()]
    figure = Figure(figsize=(8.5, 0.5 * len(sources) + 2), layout="constrained")
    axis = figure.subplots()
    figure.suptitle(title, fontsize=10)
    for n, name in enumerate(sets):
        known = pl.col("compared") > 0
        held = variance.filter(pl.col("prompt_set").eq_missing(name), known)
        y = np.array([sources.index(each) for each in held["source"]])
        y = y + (n - (len(sets) - 1) / 2) * 0.14
        columns = ("variance", "low", "high")
        about = f"{name or 'between sets'} ({held['items'].max() or 0} items)"
        points_with_intervals(axis, y, held, columns, n, about)
    axis.set_yticks(range(len(sources)), sources)
    axis.invert_yaxis()
    axis.set_xscale("symlog", linthresh=0.01)
    chance_line(axis, 0.0, vertical=True)
    axis.set_xlabel(
        "half the squared distance of two vectors of length one that differ in this alone,\n"
        "95% interval (symmetric log scale, linear within 0.01)"
    )
    legend_of(axis, figure)
    return figure


def reliability_by_pairs(reliability: pl.DataFrame, title: str) -> Figure:
    """The cosine of two vectors of n pairs each, about other items, against n."""
    sets = reliability["prompt_set"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axis = figure.subplots()
    draws = reliability["draws"].max() if len(reliability) else 0
    figure.suptitle(f"{title}\nmean and middle 95% of {draws} draws", fontsize=10)
    for n, name in enumerate(sets):
        held = reliability.filter(pl.col("prompt_set") == name)
        about = f"{name}\n{held['questions'][0]} questions, {held['items'][0]} items"
        line_with_band(axis, held, ("pairs", "cosine", "low", "high"), n, about)
    chance_line(axis, 0.0)
    axis.set_xscale("log", base=2)
    axis.set_ylim(-1.02, 1.02)
    axis.set_xlabel("pairs of each vector (log scale)")
    axis.set_ylabel("cosine of two such vectors")
    legend_of(axis, figure, aside=True)
    return figure


def tenses_by_layer(agreement: pl.DataFrame, readings: pl.DataFrame, title: str) -> Figure:
    """About to against just did, a column a family: how far the two directions agree, and what each
    of them reads before and after the answer."""
    families = agreement["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.2 * max(len(families), 1) + 2.6, 6), layout="constrained")
    axes = figure.subplots(2, max(len(families), 1), sharex=True, sharey="row", squeeze=False)
    figure.suptitle(title, fontsize=10)
    for column, family in enumerate(families):
        above, below = axes[:, column]
        held = agreement.filter(pl.col("family") == family).sort("layer")
        line_with_band(above, held, ("layer", "agreement", "low", "high"), 6, "cosine")
        chance_line(above, 0.0)
        above.set_ylim(-1.1, 1.15)
        above.set_title(f"{family}: cosine of the two, without noise", fontsize=9)
        n = 0
        for made in TENSES:
            for read, where in READ_IN.items():
                part = readings.filter(
                    pl.col("family") == family, pl.col("made") == made, pl.col("position") == read
                ).sort("layer")
                style = "-" if where[0] == made else "--"
                label = f'"{TENSES[made]}" read {where[1]}'
                line_with_band(below, part, ("layer", *AREA), n, label, style)
                n += 1
        chance_line(below)
        below.set_ylim(-0.02, 1.02)
        counts = readings.filter(pl.col("family") == family).head(1)
        of = "".join(f"n = {c['n']} in {c['items']} items" for c in counts.iter_rows(named=True))
        below.set_title(f"{family}: what each of them reads\n{of}", fontsize=9)
        below.set_xlabel("layer (block, from 0)")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0][0].set_ylabel("cosine, 95% interval")
    axes[1][0].set_ylabel("AUROC on test, 95% interval")
    legend_of(axes[1][0], figure)
    return figure


def auroc_by_token(found: pl.DataFrame, title: str) -> Figure:
    """AUROC token by token from the prompt's end (0) on, of one vector and of the text alone, a
    panel a family; below, how many answers go on so far, and how many the text gives away."""
    families = found["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.4 * max(len(families), 1) + 1, 4.8), layout="constrained")
    axes = figure.subplots(
        2, max(len(families), 1), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1)
    )
    figure.suptitle(title, fontsize=10)
    for column, family in enumerate(families):
        above, below = axes[:, column]
        held = found.filter(pl.col("family") == family).sort("token")
        x = held["token"].to_numpy()
        above.fill_between(
            x,
            held["random_low"],
            held["random_high"],
            color=NULL,
            alpha=0.6,
            lw=0,
            label="95% of random directions",
        )
        line_with_band(above, held, ("token", *AREA), 0, "the projection")
        text = ("token", "text", "text_low", "text_high")
        line_with_band(above, held, text, 1, "the text so far, alone", "--")
        chance_line(above)
        above.set_ylim(-0.02, 1.02)
        above.set_title(family, fontsize=9)
        below.bar(x, held["n"], width=0.6, color=NULL, label="answers that go on so far")
        given = held["n"].to_numpy() * held["told"].to_numpy()
        below.bar(x, given, width=0.3, color=COLOURS[1], label="of these, given away by the text")
        below.set_xlabel("token of the answer (0: the prompt's end)")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0][0].set_ylabel("AUROC on test, 95% interval")
    axes[1][0].set_ylabel("answers")
    both = [axes[row][0].get_legend_handles_labels() for row in (0, 1)]
    handles, labels = ([each for pair in part for each in pair] for part in zip(*both, strict=True))
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure
