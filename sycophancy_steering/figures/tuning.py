"""Fine-tuning beside steering and prompting with as many examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sycophancy_steering.figures.drawn import Drawn, Figures, by_family, caption, listed
from sycophancy_steering.figures.readouts import auroc_by_readout_layer
from sycophancy_steering.figures.style import (
    AUROC_RANGE,
    INKS,
    METHOD_STYLES,
    NULL,
    Style,
    chance_line,
    family_rows,
    interval_points,
    layer_axis,
    legend_below,
    line_with_band,
    null_band,
    page,
)
from sycophancy_steering.figures.subject import Subject
from sycophancy_steering.formatting.numbers import number_text
from sycophancy_steering.schemas.tuning import AFTER_TRAINING, COSINES, METHODS
from sycophancy_steering.tuning.training_runs import TRUE_LABELS

WITHOUT_TRAINING = ("in-context vector", "few-shot", "good and bad")
TRAINING = ("sft", "dpo", "distillation")
STEERING, INSTRUCTION = "steering", "instruction"
DIRECTIONS = {False: "away from", True: "towards"}


def method_styles(subject: Subject) -> dict[str, Style]:
    """Steering has the colour of its vector's method; training and prompts have inks."""
    inks = dict(zip((*TRAINING, *WITHOUT_TRAINING[1:]), INKS, strict=True))
    in_context = METHOD_STYLES["in_context_vector"]
    return {STEERING: subject.style, WITHOUT_TRAINING[0]: in_context, **inks}


def by_examples(table: pl.DataFrame, subject: Subject, towards: bool) -> Drawn:
    """The share of answers changed in one direction, against the number of examples.

    A row for each family; steering beside other methods without training, and beside training.
    `table` is the table METHODS of schemas/tuning.py.
    """
    every = table.filter(
        pl.col("label_source") == TRUE_LABELS,
        pl.col("changed_share").is_not_null(),
        pl.col("towards") == towards,
    )
    styles = method_styles(subject)
    rows = every.filter(pl.col("method").is_in([*styles, INSTRUCTION]))
    others = sorted({*every["method"]} - {*rows["method"]})
    families = subject.drawn(rows["family"])
    figure, axes = family_rows(
        f"{subject.model}: answers turned {DIRECTIONS[towards]} sycophancy, by number of examples",
        families,
        ["without training", "by training"],
        sharey=True,
    )
    columns = "n_examples", "changed_share", "lowest", "highest"
    for axes_of_family, family in zip(axes, families, strict=True):
        part = rows.filter(pl.col("family") == family)
        for axis, methods in zip(axes_of_family, (WITHOUT_TRAINING, TRAINING), strict=True):
            for method in (STEERING, *methods):
                line = part.filter(pl.col("method") == method).sort("n_examples")
                label = f"{method} of the best prompt" if method == "distillation" else method
                line_with_band(axis, line, columns, styles[method], label)
            for value in part.filter(pl.col("method") == INSTRUCTION)["changed_share"]:
                axis.axhline(value, color=NULL, lw=2, label="instruction, no examples", zorder=0)
            ticks = sorted(part.filter(pl.col("n_examples") > 0)["n_examples"].unique())
            axis.set_xscale("log", base=2)
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
            axis.set_ylim(*AUROC_RANGE)
        axes_of_family[0].set_ylabel("share of answers")
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("examples (log scale)")
    legend_below(figure, *(axes[0] if axes else ()))
    words = caption(
        _best_methods(rows, families),
        f"Lines are means over {rows['n_seeds'].max()} seeds, bands the range over seeds. "
        f"{_sizes(rows, families)}",
        subject.left_out(rows["family"]),
        f"Not drawn: {listed(others)}." if others else "",
        f"All numbers: {METHODS.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def _best_methods(rows: pl.DataFrame, families: Sequence[str]) -> str:
    facts = []
    for family in families:
        part = rows.filter(pl.col("family") == family)
        best = part.filter(pl.col("changed_share") == pl.col("changed_share").max())
        names = listed(best["method"].unique(maintain_order=True))
        facts.append((f"{family}:", f"{number_text(best['changed_share'][0])} by {names}"))
    return f"The largest share, in {by_family(facts)}." if facts else ""


def _sizes(rows: pl.DataFrame, families: Sequence[str]) -> str:
    first = rows.filter(pl.col("family").is_in(families)).unique("family", maintain_order=True)
    facts = [(row["family"], f"{row['n_changed']}") for row in first.iter_rows(named=True)]
    return f"Answers that could be turned: {by_family(facts)}." if facts else ""


def from_weak_labels(table: pl.DataFrame, subject: Subject) -> Drawn:
    """The share of answers changed by the source of the examples' labels.

    `table` is the table METHODS of schemas/tuning.py.
    """
    styles = {name: method_styles(subject)[name] for name in (STEERING, "sft", "dpo")}
    most = table["n_examples"].max()
    rows = table.filter(pl.col("n_examples") == most, pl.col("method").is_in([*styles]))
    families = subject.drawn(rows["family"])
    sources = rows["label_source"].unique(maintain_order=True).to_list()
    figure, axes = family_rows(
        f"{subject.model}: answers turned by {most} examples, by the source of their labels",
        families,
        [f"{words} sycophancy" for words in DIRECTIONS.values()],
        sharey=True,
    )
    for axes_of_family, family in zip(axes, families, strict=True):
        for axis, towards in zip(axes_of_family, DIRECTIONS, strict=True):
            part = rows.filter(pl.col("family") == family, pl.col("towards") == towards)
            for n, (method, style) in enumerate(styles.items()):
                of_method = part.filter(pl.col("method") == method)
                places = [sources.index(source) for source in of_method["label_source"]]
                x = np.array(places, float) + (n - 1) * 0.2
                interval_points(axis, x, of_method, "changed_share", style, method)
            axis.set_ylim(*AUROC_RANGE)
            axis.set_xticks(range(len(sources)), sources)
        axes_of_family[0].set_ylabel("share of answers")
    for axis in axes[-1] if axes else ():
        axis.set_xlabel("source of the labels")
    legend_below(figure, *(axes[0][:1] if axes else ()))
    words = caption(
        "A method that falls less from the true labels to the others forgives wrong labels.",
        f"Interval: 95%, clustered by item. {_sizes(rows, families)}",
        subject.left_out(rows["family"]),
        f"All numbers: {METHODS.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def training_differences(cosines: pl.DataFrame, subject: Subject) -> Drawn:
    """Cosine of each training difference with the steering vector, by layer: a panel a method.

    `cosines` is the table COSINES of schemas/tuning.py.
    """
    methods = cosines["method"].unique(maintain_order=True).to_list()
    figure = page(f"{subject.model}: what training changed, against {subject.headline}", 3.4)
    axes = figure.subplots(1, max(len(methods), 1), sharey=True, squeeze=False)[0]
    sets = cosines["training_set"].unique(maintain_order=True).to_list()
    null = cosines.unique("layer", maintain_order=True).sort("layer")
    for axis, method in zip(axes, methods, strict=False):
        for n, training_set in enumerate(sets):
            rows = cosines.filter(
                pl.col("method") == method, pl.col("training_set") == training_set
            ).sort("layer")
            columns = "layer", "cosine", "cosine_lowest", "cosine_highest"
            style = subject.style if n == 0 else INKS[(n - 1) % len(INKS)]
            line_with_band(axis, rows, columns, style, f"on {training_set}")
        random = null["random_cosine"]
        x = null["layer"].to_numpy()
        null_band(axis, x, -random, random, "random directions, 95%")
        chance_line(axis, 0.0)
        layer_axis(axis)
        axis.set_title(method)
        axis.set_xlabel("layer (from 0)")
    axes[0].set_ylabel("cosine")
    legend_below(figure, axes[0])
    largest = cosines.sort("cosine", maintain_order=True).row(-1, named=True)
    words = caption(
        f"The largest cosine is {number_text(largest['cosine'])}, of {largest['method']} on "
        f"{largest['training_set']} at layer {largest['layer']}.",
        f"Lines are means over {cosines['n_seeds'][0]} seeds, bands the range over seeds.",
        f"All numbers: {COSINES.path(model=subject.model)}.",
    )
    return Drawn(figure, words)


def after_training(readouts: pl.DataFrame, subject: Subject) -> Drawn:
    """AUROC by layer in the untuned model, and after training it away from sycophancy.

    `readouts` is the table AFTER_TRAINING.
    """
    methods = readouts.drop_nulls("method")["method"].unique(maintain_order=True)
    lines = {"no intervention": pl.col("method").is_null()}
    lines |= {f"after {method}": pl.col("method") == method for method in methods}
    return auroc_by_readout_layer(
        readouts,
        lines,
        subject,
        f"{subject.model}: predictivity after training away from sycophancy",
        f"Lines are means over seeds. All numbers: {AFTER_TRAINING.path(model=subject.model)}.",
    )


def tuning_figures(
    subject: Subject, methods: pl.DataFrame, cosines: pl.DataFrame, readouts: pl.DataFrame
) -> Figures:
    """The figures on fine-tuning a model, by name; tables METHODS, COSINES and AFTER_TRAINING."""
    return {
        "examples": by_examples(methods, subject, towards=False),
        "examples_towards": by_examples(methods, subject, towards=True),
        "weak_labels": from_weak_labels(methods, subject),
        "training_differences": training_differences(cosines, subject),
        "after_training": after_training(readouts, subject),
    }
