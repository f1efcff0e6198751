"""Which vector predicts best, what the projection adds, and which choices move predictivity."""

from __future__ import annotations

import numpy as np
import polars as pl

from sycophancy_steering.figures.drawn import Drawn, by_family, caption, listed
from sycophancy_steering.figures.style import (
    AUROC_RANGE,
    INKS,
    Style,
    chance_line,
    legend_below,
    method_style,
    null_bars,
    page,
    points_with_intervals,
    wrapped_panels,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.formatting.numbers import interval_of, interval_text, number_text
from sycophancy_steering.schemas.analysis import INCREMENTAL_VALIDITY
from sycophancy_steering.schemas.comparison import SELECTED, VARIANCE_COMPONENTS
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.storage.cell_files import POSITIONS, family_and_source

AUROC = tuple(estimate("auroc"))


def selected_against_shuffled(selected: pl.DataFrame, subject: Subject) -> Drawn:
    """The best vector for each family and position, over what the same choice finds by chance.

    `selected` holds one model's rows of the table SELECTED; chance is the central 95% among vectors
    from shuffled pairs.
    """
    families = subject.drawn(selected["family"])
    figure, axes = wrapped_panels(
        f"{subject.model}: the best of all vectors, beside the best of vectors that know nothing",
        [POSITIONS[name] for name in POSITIONS] if families else [],
        0.36 * len(families) + 0.25,
        n_columns=1,
        sharey=False,
    )
    above = []
    for axis, position in zip(axes, POSITIONS, strict=False):
        rows = selected.filter(pl.col("position") == position, pl.col("family").is_in(families))
        rows = rows.sort(pl.col("family").replace_strict(families, [*range(len(families))]))
        null_bars(
            axis,
            np.arange(len(rows)),
            rows["shuffled_low"],
            rows["shuffled_high"],
            "95% of the best vectors from shuffled pairs",
        )
        for n, row in enumerate(rows.iter_rows(named=True)):
            own = rows[n : n + 1]
            points_with_intervals(axis, np.array([n]), own, AUROC, method_style(row["vector"]))
            chance = row["shuffled_high"]
            if chance is not None and row["auroc"] > chance:
                where = f"{row['family']}, {POSITIONS[position]}"
                above.append((where, interval_text(interval_of(row, "auroc"))))
        names = [
            f"{row['family']} ({row['n']})\n{row['vector']}, layer {row['layer']}"
            for row in rows.iter_rows(named=True)
        ]
        axis.set_yticks(range(len(rows)), names)
        axis.invert_yaxis()
        chance_line(axis, vertical=True)
        axis.set_xlim(*AUROC_RANGE)
    for axis in axes[-1:]:
        axis.set_xlabel("AUROC on test")
    legend_below(figure, *axes[:1])
    n_cells = selected["n_cells"].max() if len(selected) else 0
    words = caption(
        f"Better than the same choice finds by chance, right of the bar: {by_family(above)}."
        if above
        else "No choice does better than the same choice among vectors that know nothing."
        if families
        else "",
        f"Each is the best of {n_cells} vectors, layers and read-outs on other answers. Colours "
        "and markers are methods; interval: 95%, clustered by item; in brackets, the number of "
        "answers.",
        subject.left_out(selected["family"]),
        f"All numbers: {SELECTED.path()}.",
    )
    return Drawn(figure, words)


PREDICTORS = {"text": "the prompt's words", "margin": "the model's own margin"}


def incremental_validity(validity: pl.DataFrame, subject: Subject) -> Drawn:
    """AUROC of the text, the margin and the projection; and what the projection adds to the first
    two. `validity` is the table INCREMENTAL_VALIDITY."""
    named = validity.with_columns(family_and_source().alias("name"))
    shown = named.filter(pl.col("family").is_in(subject.drawn(named["family"])))
    names = shown["name"].unique(maintain_order=True).to_list()
    figure, axes = wrapped_panels(
        f"{subject.model}: what the projection on {subject.headline} adds, after the prompt",
        ["each alone", "what the projection adds to each"] if names else [],
        0.42 * len(names) + 0.3,
        sharex=False,
    )
    styles: dict[str, tuple[str, Style]] = {
        "text": (PREDICTORS["text"], INKS[1]),
        "margin": (PREDICTORS["margin"], INKS[3]),
        "projection": ("the projection", subject.style),
    }
    sizes = dict(zip(shown["name"], shown["n"], strict=True))
    for n, (predictor, (label, style)) in enumerate(styles.items() if axes else ()):
        for axis, suffix, columns in (
            (axes[0], "", AUROC),
            (axes[1], " + projection", tuple(estimate("added_auroc"))),
        ):
            rows = shown.filter(pl.col("predictor") == predictor + suffix)
            y = np.array([names.index(name) for name in rows["name"]]) + (n - 1) * 0.22
            points_with_intervals(axis, y, rows, columns, style, label)
    for axis, chance, words in zip(
        axes, (0.5, 0.0), ("AUROC on test", "added AUROC"), strict=False
    ):
        chance_line(axis, chance, vertical=True)
        axis.set_xlabel(words)
        axis.set_yticks(range(len(names)), [f"{name} ({sizes[name]})" for name in names])
    if axes:
        axes[0].set_ylim(len(names) - 0.5, -0.5)
    legend_below(figure, *axes[:1])
    return Drawn(figure, _validity_caption(shown, named, subject))


def _validity_caption(shown: pl.DataFrame, named: pl.DataFrame, subject: Subject) -> str:
    adds: dict[str, list[str]] = {}
    for predictor, words in PREDICTORS.items():
        rows = shown.filter(pl.col("predictor") == f"{predictor} + projection")
        adds[words] = rows.filter(pl.col("added_auroc_low") > 0)["name"].to_list()
    facts = [f"to {words} in {listed(names)}" for words, names in adds.items()]
    return caption(
        f"The projection surely adds (interval above 0) {listed(facts)}." if len(shown) else "",
        "The margin is the model's own preference between the answers, which the label nearly "
        "repeats. Predictors are fitted on other answers; interval: 95%, clustered by item; in "
        "brackets, the number of answers.",
        subject.left_out(named["family"]),
        f"All numbers: {INCREMENTAL_VALIDITY.path(model=subject.model)}.",
    )


COMPONENTS = {
    "between_sets": "prompt set",
    "between_methods": "method",
    "interaction": "both together (interaction)",
}


def variance_components(components: pl.DataFrame, subject: Subject) -> Drawn:
    """How far the AUROC varies between prompt sets, between methods, and by their interaction.

    `components` holds one model's rows of the table VARIANCE_COMPONENTS.
    """
    families = subject.drawn(components["family"])
    shown = components.filter(pl.col("family").is_in(families))
    figure = page(
        f"{subject.model}: which choices move predictivity, after the prompt",
        0.5 * max(len(families), 1) + 1.4,
    )
    axis = figure.subplots()
    for n, (name, label) in enumerate(COMPONENTS.items() if families else ()):
        y = np.arange(len(families)) + (n - 1) * 0.2
        points_with_intervals(axis, y, shown, tuple(estimate(name)), INKS[n], label)
    axis.set_yticks(range(len(families)), families)
    axis.set_ylim(max(len(families), 1) - 0.5, -0.5)
    axis.set_xlim(left=0)
    axis.set_xlabel("standard deviation of the AUROC on test")
    legend_below(figure, axis)
    largest = [
        (f"{row['family']}:", max(COMPONENTS.items(), key=lambda item: row[item[0]] or 0.0)[1])
        for row in shown.iter_rows(named=True)
    ]
    gaps = [(row["family"], number_text(row["largest_gap"])) for row in shown.iter_rows(named=True)]
    sizes = components.select("n_sets", "n_methods").unique().rows()
    words = caption(
        f"What the AUROC varies with most, in {by_family(largest)}." if largest else "",
        f"Best minus worst vector: {by_family(gaps)}." if gaps else "",
        f"{sizes[0][0]} prompt sets x {sizes[0][1]} methods; interval: 95%, clustered by item."
        if sizes
        else "",
        subject.left_out(components["family"]),
        f"All numbers: {VARIANCE_COMPONENTS.path()}.",
    )
    return Drawn(figure, words)
