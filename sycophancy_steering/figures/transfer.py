"""How many pairs a vector needs, and where it transfers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sycophancy_steering.figures.drawn import Drawn, by_family, caption, listed, named_or_counted
from sycophancy_steering.figures.style import (
    AUROC_RANGE,
    METHOD_STYLES,
    MOST_SERIES,
    chance_line,
    family_rows,
    legend_below,
    line_with_band,
    method_order,
    method_style,
    null_band,
    page,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.formatting.numbers import (
    MISSING,
    interval_of,
    interval_text,
    number_text,
)
from sycophancy_steering.schemas.analysis import SAMPLE_EFFICIENCY, TRANSFER
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.storage.cell_files import family_and_source

AUROC = tuple(estimate("auroc"))
PAIRINGS = {True: "both answers of n questions", False: "one answer each of 2n questions"}
NULL_METHOD = "shuffled"


def auroc_by_pairs(efficiency: pl.DataFrame, subject: Subject, layer: int) -> Drawn:
    """AUROC against the number of pairs, a row for each family, with and without pairing.

    `efficiency` is the table SAMPLE_EFFICIENCY.
    """
    families = subject.drawn(efficiency["family"])
    methods = sorted(efficiency["method"].unique(), key=method_order)
    lines = [name for name in methods if name != NULL_METHOD]
    figure, axes = family_rows(
        f"{subject.model}: predictivity by the number of pairs of {subject.prompt_set}, "
        f"layer {layer}",
        families,
        [*PAIRINGS.values()],
    )
    for row, family in zip(axes, families, strict=True):
        for axis, paired in zip(row, PAIRINGS, strict=True):
            part = efficiency.filter(pl.col("paired") == paired, pl.col("family") == family).sort(
                "n_pairs"
            )
            for method in lines[: MOST_SERIES - 1]:
                line = part.filter(pl.col("method") == method)
                style = method_style(method)
                line_with_band(axis, line, ("n_pairs", *AUROC), style, method)
            null = part.filter(pl.col("method") == NULL_METHOD)
            x, (_, low, high) = null["n_pairs"].to_numpy(), AUROC
            null_band(axis, x, null[low], null[high], "pairs with shuffled answers, 95%")
            chance_line(axis)
            axis.set_xscale("log", base=2)
            ticks = sorted(efficiency["n_pairs"].unique())
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.set_xlim(ticks[0] * 0.85, ticks[-1] * 1.18)
            axis.set_ylim(*AUROC_RANGE)
        row[0].set_ylabel("AUROC on test")
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("n (log scale)")
    legend_below(figure, *(axes[0][:1] if axes else ()))
    n_resamples = efficiency["n_resamples"].max() if len(efficiency) else 0
    words = caption(
        _gain_of_pairs(efficiency, subject, families),
        f"Lines are means, bands the central 95%, of {n_resamples} samples of the pairs.",
        subject.left_out(efficiency["family"]),
        f"Not drawn: {listed(lines[MOST_SERIES - 1 :])}." if len(lines) >= MOST_SERIES else "",
        f"All numbers: {SAMPLE_EFFICIENCY.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def _gain_of_pairs(efficiency: pl.DataFrame, subject: Subject, families: Sequence[str]) -> str:
    """What the headline's method has with the fewest pairs and with the most."""
    own = efficiency.filter(
        pl.col("paired"),
        pl.col("family").is_in(families),
        pl.col("method") == _method_of(subject.variant),
    )
    if own.is_empty():
        return ""
    facts = []
    for (family,), line in own.sort("n_pairs").group_by("family", maintain_order=True):
        first, last = (number_text(line["auroc"][n]) for n in (0, -1))
        facts.append((str(family), f"{first} to {last}"))
    fewest, most = own["n_pairs"].min(), own["n_pairs"].max()
    return f"{_method_of(subject.variant)} from {fewest} to {most} pairs: {by_family(facts)}."


def _method_of(variant: str) -> str:
    style = method_style(variant)
    return next((name for name, own in METHOD_STYLES.items() if own == style), variant)


def transfer_matrix(transfer: pl.DataFrame, subject: Subject, layer: int) -> Drawn:
    """AUROC of the vectors made from each set (rows) on each family or source (columns).

    Cells show 95% intervals and the cosines, Euclidean and Mahalanobis, with the column's own
    vector. `transfer` holds rows of one method and layer of the table TRANSFER.
    """
    sets = transfer["prompt_set"].unique(maintain_order=True).to_list()
    named = transfer.with_columns(family_and_source().alias("name"))
    shown = named.filter(pl.col("family").is_in(subject.drawn(named["family"])))
    families = shown["name"].unique(maintain_order=True).to_list()
    figure = page(
        f"{subject.model}: vectors from each prompt set on each family, after the prompt, "
        f"layer {layer}",
        0.62 * max(len(sets), 1) + 1.1,
    )
    axis = figure.subplots()
    aurocs = np.full((max(len(sets), 1), max(len(families), 1)), np.nan)
    predicted = []
    for row in shown.iter_rows(named=True):
        cell = sets.index(row["prompt_set"]), families.index(row["name"])
        aurocs[cell] = row["auroc"]
        # A family without a vector of its own has no cosine.
        cosines = number_text(row["cosine"]), number_text(row["mahalanobis_cosine"])
        cosine_words = "" if MISSING in cosines else f"\ncosine {cosines[0]}, {cosines[1]}"
        predicts = row["auroc_low"] > 0.5
        axis.text(
            cell[1],
            cell[0],
            interval_text(interval_of(row, "auroc"))
            + ("\nits own set" if row["own_set"] else cosine_words),
            ha="center",
            va="center",
            fontsize=8,
            fontweight="bold" if predicts else "normal",
            color="white" if abs(row["auroc"] - 0.5) > 0.35 else "black",
        )
        if predicts:
            predicted.append(f"{row['prompt_set']} on {row['name']}")
    # Orange to purple, through white at chance: distinguishable for every kind of colour vision.
    image = axis.imshow(aurocs, cmap="PuOr", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(families)), families)
    axis.set_yticks(range(len(sets)), [f"from {name}" for name in sets])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    figure.colorbar(image, ax=axis, label="AUROC on test", fraction=0.04)
    words = caption(
        f"Intervals above 0.5 (bold): {named_or_counted(predicted, len(shown))}."
        if predicted
        else "No interval lies above 0.5."
        if families
        else "",
        f"{subject.variant} of each set; AUROC with its 95% interval, clustered by item. Below, "
        "the cosines of the set's vector with the one from the family's own set, Euclidean and "
        "Mahalanobis.",
        subject.left_out(named["family"]),
        f"All numbers: {TRANSFER.path(model=subject.model)}.",
    )
    return Drawn(figure, words)
