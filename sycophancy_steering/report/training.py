"""Steering beside fine-tuning on as many examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from sycophancy_steering.config.tuning import TuningSettings, WeakLabeller
from sycophancy_steering.formatting.numbers import Range, interval_of
from sycophancy_steering.report.causes import DIRECTIONS, DOES_NOT_FIT
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.tuning.training_runs import LABEL_METHODS, TRUE_LABELS

AWAY_OR_TOWARDS = {False: "away", True: "towards"}
UNTUNED = "no intervention"
WEAK_METHODS = ("steering", "sft", "dpo")


def methods_section(methods: pl.DataFrame, own: Sequence[str], facts: Mapping[str, Any]) -> Section:
    """The share of answers that every method changes, by number of examples.

    `own` are the families of the examples, `facts` what else the template names about the runs.
    """
    true = methods.filter(pl.col("label_source") == TRUE_LABELS)
    families = true["family"].unique(maintain_order=True).to_list()
    tables = []
    for towards, words in DIRECTIONS.items():
        part = true.filter(pl.col("towards") == towards)
        counts = {row["family"]: row["n_changed"] for row in part.iter_rows(named=True)}
        rows = []
        kinds = part.select("method", "n_examples", "n_seeds").unique(maintain_order=True)
        for method, n_examples, n_seeds in kinds.sort("n_examples", maintain_order=True).rows():
            of = part.filter(pl.col("method") == method, pl.col("n_examples") == n_examples)
            cells = [_changed(of, family) for family in families]
            rows.append([method, n_examples, n_seeds, *cells])
        header = [words, "examples", "seeds", *(f"{f} (n = {counts[f]})" for f in families)]
        tables.append(TableData(header, rows))
    return Section("training_methods", {"own": own, "tables": tables, **facts})


def comparison_section(
    differences: pl.DataFrame, teachers: pl.DataFrame, own: Sequence[str]
) -> Section:
    """Fine-tuning against steering with the most examples, and the prompts that were distilled."""
    true = differences.filter(pl.col("label_source") == TRUE_LABELS)
    most = true["n_examples"].max()
    last = true.filter(pl.col("n_examples") == most, pl.col("method").is_in(LABEL_METHODS))
    lines = [
        {
            "family": family,
            "scope": "new items" if family in own else "another family",
            "direction": words,
            "verdicts": [
                {"method": row["method"], **_verdict(row)}
                for row in last.filter(
                    pl.col("towards") == towards, pl.col("family") == family
                ).iter_rows(named=True)
            ],
        }
        for towards, words in AWAY_OR_TOWARDS.items()
        for family in true["family"].unique(maintain_order=True)
    ]
    distilled = [
        {
            "direction": AWAY_OR_TOWARDS[bool(towards)],
            "n_examples": n_examples,
            "prompts": part.rows(named=True),
        }
        for (towards, n_examples), part in teachers.group_by(
            "towards", "n_examples", maintain_order=True
        )
    ]
    return Section(
        "training_comparison", {"n_examples": most, "lines": lines, "distilled": distilled}
    )


def training_costs_section(side_effects: pl.DataFrame) -> Section:
    """What fine-tuning and steering cost, with the most examples."""
    most = side_effects["n_examples"].max()
    part = side_effects.filter(
        pl.col("n_examples").is_in([0, most]), pl.col("label_source") == TRUE_LABELS
    )
    rows = []
    for (method, towards), runs in part.group_by("method", "towards", maintain_order=True):
        cells = [
            (_mean(runs[column]), Range(*_ends(runs[column])))
            for column in ("fact_accuracy", "neutral_nll")
        ]
        direction = None if method == UNTUNED else AWAY_OR_TOWARDS[bool(towards)]
        rows.append([method, direction, len(runs), *cells])
    header = ["method", "direction", "seeds", "facts known", "neutral text, added nats per token"]
    return Section("training_costs", {"n_examples": most, "costs": TableData(header, rows)})


def weak_labels_section(
    methods: pl.DataFrame, vectors: pl.DataFrame, weak_labeller: WeakLabeller | None
) -> Section | None:
    """Steering and fine-tuning with the labels of a poor grader; None where all are true."""
    if {*methods["label_source"]} == {TRUE_LABELS}:
        return None
    most = methods["n_examples"].max()
    part = methods.filter(pl.col("method").is_in(WEAK_METHODS), pl.col("n_examples") == most)
    families = part["family"].unique(maintain_order=True).to_list()
    rows, realised = [], []
    for labels in part["label_source"].unique(maintain_order=True):
        for method in (name for name in WEAK_METHODS if name in {*part["method"]}):
            for towards, words in AWAY_OR_TOWARDS.items():
                of = part.filter(
                    pl.col("label_source") == labels,
                    pl.col("method") == method,
                    pl.col("towards") == towards,
                )
                rows.append([labels, method, words, *(_changed(of, f) for f in families)])
        own = vectors.filter(pl.col("label_source") == labels, pl.col("n_examples") == most)
        aurocs = [own.filter(pl.col("family") == family)["auroc"] for family in families]
        cells = [(_mean(auroc), Range(*_ends(auroc))) for auroc in aurocs]
        rows.append([labels, "AUROC of the vector", None, *cells])
        shares = own.unique("seed", maintain_order=True)["mislabelled_share"].to_list()
        realised.append({"labels": labels, "shares": shares})
    return Section(
        "weak_labels",
        {
            "n_examples": most,
            "realised": realised,
            "weak": weak_labeller,
            "methods": TableData(["labels", "method", "direction", *families], rows),
        },
    )


def _changed(methods: pl.DataFrame, family: str) -> object:
    row = methods.filter(pl.col("family") == family).row(0, named=True)
    if row["shift"] is None:
        return DOES_NOT_FIT
    share = interval_of(row, "changed_share")
    return (share, Range(row["lowest"], row["highest"])) if row["n_seeds"] > 1 else share


def _verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a method changes more answers than steering does."""
    difference = interval_of(row, "changed_share_difference")
    assert difference
    words = "does not differ significantly from steering"
    if difference.low > 0:
        words = "changes more"
    if difference.high < 0:
        words = "changes fewer"
    return {"words": words, "difference": difference}


def _mean(values: pl.Series) -> float:
    return float(values.mean())  # type: ignore[arg-type]


def _ends(values: pl.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())  # type: ignore[arg-type]


def training_facts(settings: TuningSettings, vector: str) -> dict[str, Any]:
    """What the methods were given, for the template."""
    return {"settings": settings, "vector": vector, "prompt_set": vector.partition("/")[0]}
