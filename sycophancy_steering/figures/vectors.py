"""How consistent vectors are, and when an answer can be predicted."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sycophancy_steering.analysis.anticipation import READOUTS, VARIANT_WORDS
from sycophancy_steering.figures.style import (
    COLOURS,
    NULL,
    chance_line,
    line_with_band,
    points_with_intervals,
    shared_legend,
)
from sycophancy_steering.schemas.table import estimate

AUROC = tuple(estimate("auroc"))
COMPONENTS = ("prompt set", "position", "both", "letter", "template", "item", "question", "seed")


def variance_by_component(variance: pl.DataFrame, title: str) -> Figure:
    """What makes mean differences differ: a row for each component, a marker for each prompt set.

    `variance` holds rows of one layer of the table VARIANCE.
    """
    sets = variance["prompt_set"].unique(maintain_order=True).sort(nulls_last=False).to_list()
    components = [name for name in COMPONENTS if name in variance["component"].to_list()]
    figure = Figure(figsize=(8.5, 0.5 * len(components) + 2), layout="constrained")
    axis = figure.subplots()
    figure.suptitle(title, fontsize=10)
    for n, name in enumerate(sets):
        compared = pl.col("n_compared") > 0
        of_set = variance.filter(pl.col("prompt_set").eq_missing(name), compared)
        y = np.array([components.index(component) for component in of_set["component"]])
        y = y + (n - (len(sets) - 1) / 2) * 0.14
        label = f"{name or 'between sets'} ({of_set['n_items'].max() or 0} items)"
        points_with_intervals(axis, y, of_set, tuple(estimate("variance")), n, label)
    axis.set_yticks(range(len(components)), components)
    axis.invert_yaxis()
    axis.set_xscale("symlog", linthresh=0.01)
    chance_line(axis, 0.0, vertical=True)
    axis.set_xlabel(
        "half the squared distance of two unit vectors that differ in this respect only,\n"
        "95% interval (symmetric log scale, linear within 0.01)"
    )
    shared_legend(axis, figure)
    return figure


def reliability_by_pairs(reliability: pl.DataFrame, title: str) -> Figure:
    """The cosine of two vectors of n pairs each, about different items, against n.

    `reliability` holds rows of one layer of the table RELIABILITY.
    """
    sets = reliability["prompt_set"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axis = figure.subplots()
    n_resamples = reliability["n_resamples"].max() if len(reliability) else 0
    figure.suptitle(f"{title}\nmean and central 95% of {n_resamples} resamples", fontsize=10)
    for n, name in enumerate(sets):
        of_set = reliability.filter(pl.col("prompt_set") == name)
        label = f"{name}\n{of_set['n_questions'][0]} questions, {of_set['n_items'][0]} items"
        line_with_band(axis, of_set, ("n_pairs", *estimate("cosine")), n, label)
    chance_line(axis, 0.0)
    axis.set_xscale("log", base=2)
    axis.set_ylim(-1.02, 1.02)
    axis.set_xlabel("pairs per vector (log scale)")
    axis.set_ylabel("cosine of two such vectors")
    shared_legend(axis, figure, beside=True)
    return figure


def anticipation_by_layer(agreement: pl.DataFrame, aurocs: pl.DataFrame, title: str) -> Figure:
    """Anticipation against record, a column for each family.

    Above: the cosine of the two directions, corrected for noise, with intervals that hold for all
    layers at once. Below: the AUROC of each before and after the answer.
    """
    families = agreement["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.2 * max(len(families), 1) + 2.6, 6), layout="constrained")
    axes = figure.subplots(2, max(len(families), 1), sharex=True, sharey="row", squeeze=False)
    figure.suptitle(title, fontsize=10)
    for column, family in enumerate(families):
        above, below = axes[:, column]
        of_family = agreement.filter(pl.col("family") == family).sort("layer")
        line_with_band(above, of_family, ("layer", *estimate("noise_free_cosine")), 6, "cosine")
        chance_line(above, 0.0)
        above.set_ylim(-1.1, 1.15)
        above.set_title(f"{family}: cosine, corrected for noise", fontsize=9)
        n = 0
        for variant, words in VARIANT_WORDS.items():
            for position, (own_variant, side) in READOUTS.items():
                part = aurocs.filter(
                    pl.col("family") == family,
                    pl.col("variant") == variant,
                    pl.col("position") == position,
                ).sort("layer")
                style = "-" if own_variant == variant else "--"
                label = f"{words}, read {side}"
                line_with_band(below, part, ("layer", *AUROC), n, label, style)
                n += 1
        chance_line(below)
        below.set_ylim(-0.02, 1.02)
        counts = aurocs.filter(pl.col("family") == family).head(1)
        of = "".join(f"n = {c['n']} in {c['n_items']} items" for c in counts.iter_rows(named=True))
        below.set_title(f"{family}: AUROC of each\n{of}", fontsize=9)
        below.set_xlabel("layer (decoder block, from 0)")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0][0].set_ylabel("cosine, 95% interval\n(simultaneous over layers)")
    axes[1][0].set_ylabel("AUROC on test, 95% interval")
    shared_legend(axes[1][0], figure)
    return figure


def auroc_by_token(tokens: pl.DataFrame, title: str) -> Figure:
    """AUROC token by token from the end of the prompt (0), a column for each family.

    Above: one vector, and a reader of the text alone. Below: how many answers continue so far, and
    how many of them the text has revealed.
    """
    families = tokens["family"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.4 * max(len(families), 1) + 1, 4.8), layout="constrained")
    axes = figure.subplots(
        2, max(len(families), 1), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1)
    )
    figure.suptitle(title, fontsize=10)
    for column, family in enumerate(families):
        above, below = axes[:, column]
        of_family = tokens.filter(pl.col("family") == family).sort("token")
        x = of_family["token"].to_numpy()
        above.fill_between(
            x,
            of_family["random_low"],
            of_family["random_high"],
            color=NULL,
            alpha=0.6,
            lw=0,
            label="95% of random directions",
        )
        line_with_band(above, of_family, ("token", *AUROC), 0, "the projection")
        text = ("token", *estimate("text_auroc"))
        line_with_band(above, of_family, text, 1, "the text so far alone", "--")
        chance_line(above)
        above.set_ylim(-0.02, 1.02)
        above.set_title(family, fontsize=9)
        below.bar(x, of_family["n"], width=0.6, color=NULL, label="answers that continue so far")
        revealed = of_family["n"].to_numpy() * of_family["text_reveals_share"].to_numpy()
        below.bar(x, revealed, width=0.3, color=COLOURS[1], label="of these, revealed by the text")
        below.set_xlabel("token of the answer (0: end of the prompt)")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0][0].set_ylabel("AUROC on test, 95% interval")
    axes[1][0].set_ylabel("number of answers")
    above, below = (axes[row][0].get_legend_handles_labels() for row in (0, 1))
    handles, labels = above[0] + below[0], above[1] + below[1]
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure
