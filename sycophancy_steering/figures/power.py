"""How often a planted direction is found, and how near the vector comes to it, by its size."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.figures.drawn import Drawn, by_family, caption
from sycophancy_steering.figures.style import (
    AUROC_RANGE,
    METHOD_STYLES,
    chance_line,
    family_rows,
    legend_below,
    line_with_band,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.formatting.numbers import number_text
from sycophancy_steering.schemas.power import POWER
from sycophancy_steering.schemas.table import estimate

WAYS = {
    "half": "planted in half of all questions",
    "as_labelled": "in as many as were answered sycophantically",
}
"""Ways of planting, in words."""
STYLE = METHOD_STYLES["mean_difference"]


def power_by_size(power: pl.DataFrame, subject: Subject) -> Drawn:
    """A row a family: the share of studies that find the direction, and their vector's cosine.

    `power` is the table POWER.
    """
    curve = power.filter(pl.col("part") == "curve", pl.col("size") > 0)
    families = subject.drawn(power["family"])
    figure, axes = family_rows(
        f"{subject.model}: what could have been found, planted at layer {power['layer'][0]}",
        families,
        ["found", "cosine with what was planted"],
    )
    for (share, cosine), family in zip(axes, families, strict=True):
        for (planted, words), style in zip(WAYS.items(), (STYLE, STYLE.second()), strict=True):
            rows = curve.filter(pl.col("family") == family, pl.col("planted") == planted)
            rows = rows.sort("size")
            line_with_band(share, rows, ("size", *estimate("found_share")), style, words)
            line_with_band(cosine, rows, ("size", *estimate("cosine")), style, words)
        chance_line(share, 0.8)
        share.set_ylim(*AUROC_RANGE)
        share.set_ylabel("share of studies")
        cosine.set_ylim(-0.3, 1.05)
        cosine.set_ylabel("cosine")
        cosine.set_xscale("log")
        share.set_xscale("log")
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("size, in typical distances from the mean (log scale)")
    legend_below(figure, *(axes[0][:1] if axes else ()))
    known = power.filter(
        pl.col("planted") == "as_labelled",
        pl.col("family").is_in(families),
        pl.col("detectable_auroc").is_not_null(),
    ).unique("family", maintain_order=True)
    facts = [
        (row["family"], f"{number_text(row['detectable_auroc'])} ({row['n']} answers)")
        for row in known.iter_rows(named=True)
    ]
    words = caption(
        f"Found in four of five studies (dotted) from this AUROC on: {by_family(facts)}."
        if facts
        else "",
        f"{power['n_draws'].max()} random studies of each size; bands: left, the binomial 95% "
        "interval; right, the central 95%.",
        subject.left_out(power["family"]),
        f"All numbers: {POWER.path(model=subject.model)}.",
    )
    return Drawn(figure, words)
