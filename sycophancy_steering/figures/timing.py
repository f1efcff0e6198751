"""When the answer can be predicted, and whether anticipation and record are one direction."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.analysis.anticipation import READOUTS, VARIANT_WORDS
from sycophancy_steering.figures.drawn import Drawn, by_family, caption, runs
from sycophancy_steering.figures.predictivity import AUROC, RANDOM, counts
from sycophancy_steering.figures.style import (
    AUROC_RANGE,
    INKS,
    METHOD_STYLES,
    chance_line,
    family_rows,
    interval_points,
    layer_axis,
    legend_below,
    line_with_band,
    null_band,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.schemas.analysis import AGREEMENT, TOKENS
from sycophancy_steering.schemas.predictivity import CELLS
from sycophancy_steering.schemas.table import estimate

MEAN_DIFFERENCE = METHOD_STYLES["mean_difference"]
DIRECTIONS = {
    "mean_difference_prompt": MEAN_DIFFERENCE,
    "mean_difference": MEAN_DIFFERENCE.second(),
}
"""By variant of VARIANT_WORDS: both are mean differences."""


def anticipation_by_layer(agreement: pl.DataFrame, aurocs: pl.DataFrame, subject: Subject) -> Drawn:
    """Anticipation against record, a row for each family.

    Left: the cosine of the two directions, corrected for noise, with intervals that hold for all
    layers at once. Then the AUROC of each before and after the answer.
    """
    families = subject.drawn(agreement["family"])
    columns = ["cosine of both", *(f"read {side}" for _, side in READOUTS.values())]
    figure, axes = family_rows(
        f"{subject.model}: anticipation (about to be sycophantic) and record (just was)",
        families,
        columns,
        sharex=True,
    )
    known = []
    for row, family in zip(axes, families, strict=True):
        of_family = pl.col("family") == family
        cosine = pl.col("noise_free_cosine").fill_nan(None)
        estimated = agreement.filter(of_family, cosine.is_not_null()).sort("layer")
        x = estimated["layer"].to_numpy()
        interval_points(row[0], x, estimated, "noise_free_cosine", INKS[0])
        if estimated.is_empty():
            row[0].text(0.5, 0.6, "noise at every layer", transform=row[0].transAxes, ha="center")
        chance_line(row[0], 0.0)
        row[0].set_ylim(-1.1, 1.1)
        row[0].set_ylabel("cosine")
        known.append((f"{family}:", runs(estimated["layer"]) or "none"))
        for axis, position in zip(row[1:], READOUTS, strict=True):
            for variant, words in VARIANT_WORDS.items():
                line = aurocs.filter(
                    of_family,
                    pl.col("variant") == variant,
                    pl.col("position") == position,
                ).sort("layer")
                line_with_band(axis, line, ("layer", *AUROC), DIRECTIONS[variant], words)
            chance_line(axis)
            axis.set_ylim(*AUROC_RANGE)
        row[1].set_ylabel("AUROC on test")
        for axis in row:
            layer_axis(axis)
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("layer (from 0)")
    legend_below(figure, *(axes[0][1:] if axes else ()))
    words = caption(
        f"Layers at which both directions stand out from their noise, so that they have a cosine: "
        f"{by_family(known)}."
        if known
        else "No family has both directions.",
        "Bands: 95%, clustered by item; of cosines, for all layers at once.",
        counts(aurocs, families),
        subject.left_out(agreement["family"]),
        f"All numbers: {AGREEMENT.path(model=subject.model)}, "
        f"{CELLS.path(model=subject.model, prompt_set='SET')}.",
    )
    return Drawn(figure, words)


def auroc_by_token(tokens: pl.DataFrame, subject: Subject) -> Drawn:
    """AUROC token by token from the end of the prompt (0), a row for each family.

    Left: the vector, and a reader of the text alone. Right: how many answers continue so far, and
    how many of them the text has revealed.
    """
    families = subject.drawn(tokens["family"])
    figure, axes = family_rows(
        f"{subject.model}: predictivity token by token, {subject.headline}",
        families,
        ["AUROC", "answers"],
        1.6,
    )
    ahead = []
    for (left, right), family in zip(axes, families, strict=True):
        rows = tokens.filter(pl.col("family") == family).sort("token")
        x = rows["token"].to_numpy()
        line_with_band(left, rows, ("token", *AUROC), subject.style, "the projection, 95% interval")
        text = ("token", *estimate("text_auroc"))
        line_with_band(left, rows, text, INKS[1], "the text so far alone", thin=True)
        null_band(left, x, rows["random_low"], rows["random_high"], RANDOM)
        chance_line(left)
        left.set_ylim(*AUROC_RANGE)
        left.set_ylabel("AUROC on test")
        whole = {"width": 0.7, "color": "white", "edgecolor": "#444444"}
        right.bar(x, rows["n"], label="answers that continue so far", **whole)
        revealed = rows["n"].to_numpy() * rows["text_reveals_share"].to_numpy()
        right.bar(
            x, revealed, width=0.4, color="#444444", hatch="//", edgecolor="white",
            label="of these, revealed by the text",
        )  # fmt: skip
        right.set_ylabel("number")
        layer_axis(left)
        better = rows.filter(pl.col("auroc_minus_text_low") > 0)["token"]
        ahead.append((f"{family}:", runs(better) or "none"))
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("token of the answer (0: end of the prompt)")
    legend_below(figure, *(axes[0] if axes else ()))
    words = caption(
        f"Tokens at which the projection surely does better than the text so far: "
        f"{by_family(ahead)}."
        if ahead
        else "",
        "Interval: 95%, clustered by item (that of the text is in the table); n at the right.",
        subject.left_out(tokens["family"]),
        f"All numbers: {TOKENS.path(model=subject.model)}.",
    )
    return Drawn(figure, words)
