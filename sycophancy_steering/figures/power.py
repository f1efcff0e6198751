"""How often a planted direction is found, and how near the vector comes to it, by its size."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sycophancy_steering.figures.style import chance_line, line_with_band, shared_legend
from sycophancy_steering.schemas.table import estimate

WAYS = {
    "half": "in half of all questions",
    "as_labelled": "in as many as were answered sycophantically",
}
"""Ways of planting, in words."""


def power_by_size(power: pl.DataFrame, title: str) -> Figure:
    """A column a way of planting: the share of studies that find it, above the cosine.

    `power` is the table POWER.
    """
    curve = power.filter(pl.col("part") == "curve", pl.col("size") > 0)
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, len(WAYS), sharex=True, sharey="row")
    figure.suptitle(title, fontsize=10)
    families = power["family"].unique(maintain_order=True).to_list()
    for column, (planted, words) in enumerate(WAYS.items()):
        share, cosine = axes[0, column], axes[1, column]
        of_way = curve.filter(pl.col("planted") == planted)
        for n, family in enumerate(families):
            rows = of_way.filter(pl.col("family") == family)
            line_with_band(share, rows, ("size", *estimate("found_share")), n, family)
            line_with_band(cosine, rows, ("size", *estimate("cosine")), n, family)
        chance_line(share, 0.8)
        share.set_title(f"planted {words}", fontsize=9)
        _label_axes(share, cosine, first=column == 0)
    shared_legend(axes[0, 0], figure)
    return figure


def _label_axes(share: Axes, cosine: Axes, first: bool) -> None:
    share.set_ylim(-0.02, 1.02)
    cosine.set_ylim(-0.3, 1.02)
    cosine.set_xscale("log")
    cosine.set_xlabel("size, in typical distances from the mean", fontsize=9)
    if first:
        share.set_ylabel("share of studies that find it")
        cosine.set_ylabel("cosine with the direction planted")
