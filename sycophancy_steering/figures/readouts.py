"""Predictivity by layer after a model was changed: by an ablation, or by training."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from sycophancy_steering.figures.drawn import Drawn, by_family, caption
from sycophancy_steering.figures.steering import REMOVALS
from sycophancy_steering.figures.style import (
    AUROC_RANGE,
    INKS,
    chance_line,
    family_rows,
    layer_axis,
    legend_below,
    line_with_band,
    null_band,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.schemas.interventions import ABLATION, ORIGINAL, OWN, REFITTED
from sycophancy_steering.schemas.table import estimate

UNCHANGED = "no intervention"
READ_BY = {ORIGINAL: "read by the original vector", REFITTED: "by one fitted again"}


def after_ablation(ablation: pl.DataFrame, subject: Subject, vector: str) -> Drawn:
    """AUROC by layer after each kind of removal; grey: random directions removed.

    `ablation` is the table ABLATION.
    """
    own = pl.col("direction").is_null() | (pl.col("direction") == OWN)
    kinds = ablation.drop_nulls("kind")["kind"].unique(maintain_order=True)
    lines = {UNCHANGED: pl.col("kind").is_null()}
    lines |= {REMOVALS[kind]: own & (pl.col("kind") == kind) for kind in kinds}
    title = f"{subject.model}: predictivity after removing {vector}"
    return auroc_by_readout_layer(
        ablation,
        lines,
        subject,
        title,
        f"All numbers: {ABLATION.path(model=subject.model)}.",
        ~own & (pl.col("kind") == "remove"),
    )


def auroc_by_readout_layer(
    readouts: pl.DataFrame,
    lines: Mapping[str, pl.Expr],
    subject: Subject,
    title: str,
    numbers: str,
    random: pl.Expr | None = None,
) -> Drawn:
    """AUROC by layer of the unchanged model's labels, a line for each selection of rows in `lines`.

    Left: by the original vector; right: by a vector refitted after the intervention.
    """
    families = subject.drawn(readouts["family"])
    figure, axes = family_rows(title, families, [*READ_BY.values()])
    columns = ("readout_layer", *estimate("auroc"))
    for row, family in zip(axes, families, strict=True):
        for axis, vector in zip(row, READ_BY, strict=True):
            of_family = pl.col("family") == family
            part = readouts.filter(of_family, pl.col("readout_vector") == vector)
            if random is not None:
                null = part.filter(random).group_by("readout_layer", maintain_order=True)
                ends = null.agg(pl.col("auroc").min().alias("low"), pl.col("auroc").max()).sort(
                    "readout_layer"
                )
                x = ends["readout_layer"].to_numpy()
                null_band(axis, x, ends["low"], ends["auroc"], "random directions removed, range")
            for n, (label, selection) in enumerate(lines.items()):
                style = subject.style if n == 0 else INKS[(n - 1) % len(INKS)]
                line = part.filter(selection).sort("readout_layer")
                line_with_band(axis, line, columns, style, label, thin=n > 0)
            chance_line(axis)
            axis.set_ylim(*AUROC_RANGE)
            layer_axis(axis)
        row[0].set_ylabel("AUROC on test")
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("layer that is read (from 0)")
    legend_below(figure, *(axes[0][:1] if axes else ()))
    first = readouts.filter(pl.col("family").is_in(families)).unique("family", maintain_order=True)
    sizes = [
        (row["family"], f"{row['n']} ({row['n_items']})") for row in first.iter_rows(named=True)
    ]
    return Drawn(
        figure,
        caption(
            "Labels are those of the unchanged model: where a line stays above 0.5, what predicts "
            "them is still there.",
            f"Band: 95%, clustered by item; answers (items): {by_family(sizes)}." if sizes else "",
            subject.left_out(readouts["family"]),
            numbers,
        ),
    )
