"""How consistent mean differences are, between samples and between ways of making them."""

from __future__ import annotations

import numpy as np
import polars as pl

from sycophancy_steering.figures.drawn import Drawn, by_family, caption, listed
from sycophancy_steering.figures.style import (
    INKS,
    METHOD_STYLES,
    MOST_SERIES,
    chance_line,
    legend_below,
    line_with_band,
    page,
    points_with_intervals,
    wrapped_panels,
)
from sycophancy_steering.formatting.numbers import number_text
from sycophancy_steering.schemas.analysis import RELIABILITY, VARIANCE
from sycophancy_steering.schemas.table import estimate

COMPONENTS = ("prompt set", "position", "both", "letter", "template", "item", "question", "seed")
SMALLEST = 0.001
"""Where the axis of variances begins: an estimate below it, or below 0, is drawn there."""
STYLE = METHOD_STYLES["mean_difference"]


def variance_by_component(variance: pl.DataFrame, model: str, layer: int) -> Drawn:
    """What makes mean differences differ: a row for each component, a marker for each prompt set.

    `variance` holds rows of one layer of the table VARIANCE.
    """
    compared = variance.filter(pl.col("n_compared") > 0, pl.col("variance").is_not_nan())
    components = [name for name in COMPONENTS if name in {*compared["component"]}]
    sets = sorted({*compared["prompt_set"].drop_nulls()})
    shown = [None, *sets[: MOST_SERIES - 1]]
    missing = sorted({*variance["prompt_set"].drop_nulls()} - {*shown})
    figure = page(
        f"{model}: what makes mean differences differ, layer {layer}",
        0.4 * max(len(components), 1) + 1.6,
    )
    axis = figure.subplots()
    for n, name in enumerate(shown):
        rows = compared.filter(pl.col("prompt_set").eq_missing(name))
        y = np.array([components.index(component) for component in rows["component"]], float)
        y += (n - (len(shown) - 1) / 2) * 0.15
        columns = tuple(estimate("variance"))
        clipped = rows.with_columns(pl.col(column).clip(SMALLEST) for column in columns)
        label = f"{name or 'between sets'} ({rows['n_items'].max() or 0} items)"
        points_with_intervals(axis, y, clipped, columns, INKS[n], label)
    axis.set_yticks(range(len(components)), components)
    axis.set_ylim(max(len(components), 1) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.set_xlim(SMALLEST * 0.9, 3)
    axis.set_xlabel("half the squared distance of two unit vectors that differ in this alone (log)")
    legend_below(figure, axis)
    medians = [
        (name, number_text(float(np.median(compared.filter(of_name)["variance"]))))
        for name, of_name in ((name, pl.col("component") == name) for name in components)
    ]
    words = caption(
        f"The further right, the more the choice turns the vector (1: at right angles). Median of "
        f"the sets: {by_family(medians)}."
        if medians
        else "",
        f"Interval: 95%, clustered by item; below {SMALLEST} drawn at the edge.",
        f"Not drawn: {listed(missing)} (nothing to compare, or no room)." if missing else "",
        f"All numbers: {VARIANCE.path(model=model)}.",
    )
    return Drawn(figure, words)


def reliability_by_pairs(reliability: pl.DataFrame, model: str, layer: int) -> Drawn:
    """The cosine of two vectors of n pairs each, about different items: a panel for each set.

    `reliability` holds rows of one layer of the table RELIABILITY.
    """
    sets = reliability["prompt_set"].unique(maintain_order=True).to_list()
    figure, axes = wrapped_panels(
        f"{model}: how alike two mean differences about different items are, layer {layer}",
        sets,
        1.8,
    )
    facts = []
    for axis, name in zip(axes, sets, strict=True):
        rows = reliability.filter(pl.col("prompt_set") == name).sort("n_pairs")
        line_with_band(axis, rows, ("n_pairs", *estimate("cosine")), STYLE, "mean difference")
        chance_line(axis, 0.0)
        axis.set_xscale("log", base=2)
        ticks = sorted(reliability["n_pairs"].unique())
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.set_ylim(-1.02, 1.05)
        axis.set_xlabel("pairs per vector (log scale)")
        sizes = f"{rows['n_questions'][0]} questions, {rows['n_items'][0]} items"
        facts.append(
            (name, f"{number_text(rows['cosine'][-1])} at {rows['n_pairs'][-1]} ({sizes})")
        )
    if axes:
        axes[0].set_ylabel("cosine")
    n_resamples = reliability["n_resamples"].max() if len(reliability) else 0
    words = caption(
        f"Cosine with the most pairs that can be halved: {by_family(facts)}." if facts else "",
        f"Lines are means, bands the central 95%, of {n_resamples} pairs of samples.",
        f"All numbers: {RELIABILITY.path(model=model)}.",
    )
    return Drawn(figure, words)
