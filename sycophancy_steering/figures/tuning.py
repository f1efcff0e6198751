"""Fine-tuning beside steering and prompting with as many examples."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from sycophancy_steering.figures.steering import auroc_by_readout_layer
from sycophancy_steering.figures.style import (
    COLOURS,
    MARKERS,
    NULL,
    chance_line,
    line_with_band,
    panels,
    shared_legend,
)
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.tuning.training_runs import TRUE_LABELS

METHODS = (
    "steering", "in-context vector", "sft", "dpo", "distillation", "few-shot", "good and bad",
)  # fmt: skip


def by_examples(table: pl.DataFrame, title: str) -> Figure:
    """The share of answers changed against the number of examples.

    A column for each family, a row for each direction; bands are the range over seeds. `table` is
    the table METHODS of schemas/tuning.py.
    """
    rows = table.filter(
        pl.col("label_source") == TRUE_LABELS, pl.col("changed_share").is_not_null()
    )
    families = rows["family"].unique(maintain_order=True).to_list()
    title = f"{title}; lines: mean over seeds, bands: range over seeds"
    figure, axes = panels(families, title, 6.2, rows=2, margin=1.8)
    columns = "n_examples", "changed_share", "lowest", "highest"
    for row, (towards, words) in enumerate(((False, "away"), (True, "towards"))):
        for axis, family in zip(axes[row], families, strict=True):
            part = rows.filter(pl.col("family") == family, pl.col("towards") == towards)
            for n, method in enumerate(METHODS):
                line = part.filter(pl.col("method") == method).sort("n_examples")
                label = f"{method} of the best prompt" if method == "distillation" else method
                line_with_band(axis, line, columns, n, label)
            for value in part.filter(pl.col("method") == "instruction")["changed_share"]:
                axis.axhline(value, color=NULL, lw=1.5, ls="--", label="instruction, no examples")
            axis.set_title(
                f"{family}, {words}\nn = {part['n_changed'][0]}, {part['n_seeds'].max()} seeds",
                fontsize=8.5,
            )
            axis.set_xscale("log", base=2)
            ticks = sorted(line_ticks(part))
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
            axis.set_ylim(-0.03, 1.03)
        axes[row][0].set_ylabel("share of answers changed")
    for axis in axes[-1]:
        axis.set_xlabel("examples")
    shared_legend(axes[0][0], figure, beside=True)
    return figure


def line_ticks(table: pl.DataFrame) -> list[int]:
    """The numbers of examples, without 0."""
    return table.filter(pl.col("n_examples") > 0)["n_examples"].unique().to_list()


def from_weak_labels(table: pl.DataFrame, title: str) -> Figure:
    """The share of answers changed by the source of the examples' labels.

    Intervals are clustered by item. `table` is the table METHODS of schemas/tuning.py.
    """
    most = table["n_examples"].max()
    methods = ["steering", "sft", "dpo"]
    rows = table.filter(pl.col("n_examples") == most, pl.col("method").is_in(methods))
    families = rows["family"].unique(maintain_order=True).to_list()
    sources = rows["label_source"].unique(maintain_order=True).to_list()
    figure, axes = panels(families, title, 6.0, rows=2, margin=1.8)
    for row, (towards, words) in enumerate(((False, "away"), (True, "towards"))):
        for axis, family in zip(axes[row], families, strict=True):
            part = rows.filter(pl.col("family") == family, pl.col("towards") == towards)
            for n, method in enumerate(methods):
                of = part.filter(pl.col("method") == method)
                x = [sources.index(source) + (n - 1) * 0.2 for source in of["label_source"]]
                value, low, high = (of[column].to_numpy() for column in estimate("changed_share"))
                half_widths = np.abs(np.stack([low, high]) - value)
                axis.errorbar(
                    x, value, yerr=half_widths, fmt=MARKERS[n], color=COLOURS[n], ms=5, label=method
                )
            axis.set_title(f"{family}, {words}\nn = {part['n_changed'][0]}", fontsize=8.5)
            axis.set_ylim(-0.03, 1.03)
            axis.set_xticks(range(len(sources)), sources, fontsize=8)
        axes[row][0].set_ylabel("share of answers changed,\n95% interval")
    for axis in axes[-1]:
        axis.set_xlabel("source of the labels")
    shared_legend(axes[0][0], figure, beside=True)
    return figure


def training_differences(cosines: pl.DataFrame, title: str) -> Figure:
    """Cosine of each training difference with the steering vector, by layer.

    Bands are the range over seeds; grey: 95% of random directions with the covariance of the
    activations. `cosines` is the table COSINES of schemas/tuning.py.
    """
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axis = figure.subplots()
    kinds = cosines.select("method", "training_set").unique(maintain_order=True).rows()
    for n, (method, training_set) in enumerate(kinds):
        rows = cosines.filter(pl.col("method") == method, pl.col("training_set") == training_set)
        columns = "layer", "cosine", "cosine_lowest", "cosine_highest"
        line_with_band(
            axis, rows, columns, n, f"{method} on {training_set}", "-" if method == "sft" else "--"
        )
    null = cosines.unique("layer", maintain_order=True)
    axis.fill_between(
        null["layer"],
        -null["random_cosine"],
        null["random_cosine"],
        color=NULL,
        alpha=0.4,
        lw=0,
        label="random directions, 95%",
    )
    n_seeds = cosines["n_seeds"][0]
    axis.set_title(f"{title}\nmean over {n_seeds} seeds; bands: range over seeds", fontsize=10)
    chance_line(axis, 0.0)
    axis.set_xlabel("layer")
    axis.set_ylabel("cosine with the steering vector")
    shared_legend(axis, figure, beside=True)
    return figure


def after_training(readouts: pl.DataFrame, title: str) -> Figure:
    """AUROC by layer in the untuned model, and after training it away from sycophancy.

    Intervals are the widest over seeds. `readouts` is the table AFTER_TRAINING.
    """
    methods = readouts.drop_nulls("method")["method"].unique(maintain_order=True)
    lines = {"no intervention": pl.col("method").is_null()}
    lines |= {f"after {method}": pl.col("method") == method for method in methods}
    return auroc_by_readout_layer(readouts, lines, title)


def tuning_figures(
    model: str, methods: pl.DataFrame, cosines: pl.DataFrame, readouts: pl.DataFrame
) -> dict[str, Figure]:
    """The figures on fine-tuning a model, by name; tables METHODS, COSINES and AFTER_TRAINING."""
    return {
        "examples": by_examples(methods, f"{model}: steering and training on as many examples"),
        "weak_labels": from_weak_labels(methods, f"{model}: weak to strong"),
        "training_differences": training_differences(cosines, f"{model}: what training changed"),
        "after_training": after_training(readouts, f"{model}: predictivity after training"),
    }
