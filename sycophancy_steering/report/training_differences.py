"""What training changed in a model's activations, and whether the vector still predicts."""

from __future__ import annotations

from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import Range, interval_of, range_of
from sycophancy_steering.report.ablation import aurocs_of_both_vectors
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.report.training import UNTUNED
from sycophancy_steering.tuning.training_runs import CAPITALS, PAIRS

PROMPTS = "prompts"
"""The `method` of the vector that is made from the untuned model's own answers."""


def training_difference_section(
    cosines: pl.DataFrame, aurocs: pl.DataFrame, layer: int, vector: str
) -> Section:
    """The difference of two trained models against the steering vector."""
    families = aurocs["family"].unique(maintain_order=True).to_list()
    at_layer = cosines.filter(pl.col("layer") == layer)
    rows: list[list[object]] = []
    for row in at_layer.iter_rows(named=True):
        of = (pl.col("method") == row["method"]) & (pl.col("training_set") == row["training_set"])
        ceiling = (row["ceiling_seeds"], row["ceiling_items"])
        rows.append(
            [
                f"{row['method']} on {row['training_set']}",
                (row["cosine"], Range(row["cosine_lowest"], row["cosine_highest"])),
                row["mahalanobis_cosine"],
                ceiling,
                *(_auroc(aurocs.filter(of), family) for family in families),
            ]
        )
    own = aurocs.filter(pl.col("method") == PROMPTS)
    rows.append(["the steering vector", 1.0, 1.0, None, *(_auroc(own, f) for f in families)])
    random = float(at_layer["random_cosine"][0])
    null = [_row(own, family) for family in families]
    ranges = [row and range_of(row, "random") for row in null]
    rows.append(["random directions, 95%", f"up to {random:.2f}", None, None, *ranges])
    header = ["made from", "cosine", "Mahalanobis", "ceiling: seeds; items", *families]
    return Section(
        "training_difference",
        {
            "layer": layer,
            "vector": vector,
            "differences": TableData(header, rows),
            **specificity(at_layer, random),
        },
    )


def specificity(cosines: pl.DataFrame, random: float) -> dict[str, Any]:
    """Whether training on controls moves activations along the vector too.

    `trained` says whether training on the pairs did; `controls` are all, `aligned` those that did.
    """
    sets = cosines["training_set"].unique(maintain_order=True).to_list()
    contrast_sets = [name for name in sets if name not in (PAIRS, CAPITALS)]
    controls = contrast_sets[1:] + [name for name in sets if name == CAPITALS]
    trained = cosines.filter(pl.col("training_set") == PAIRS)
    aligned = [
        row
        for row in cosines.iter_rows(named=True)
        if row["training_set"] in controls and abs(row["cosine"]) > random
    ]
    lowest = float(trained["cosine"].min())  # type: ignore[arg-type]
    return {"trained": lowest > random, "controls": controls, "aligned": aligned}


def after_training_section(readouts: pl.DataFrame, layer: int) -> Section:
    """Whether the vector still predicts in models trained away from sycophancy."""
    at_layer = readouts.filter(pl.col("readout_layer") == layer)
    families = at_layer["family"].unique(maintain_order=True).to_list()
    rows = []
    for method in at_layer["method"].unique(maintain_order=True):
        part = at_layer.filter(pl.col("method").eq_missing(pl.lit(method, pl.String)))
        cells = [_after(part.filter(pl.col("family") == family)) for family in families]
        rows.append([UNTUNED if method is None else f"after {method}", *cells])
    counts = {row["family"]: row["n"] for row in at_layer.iter_rows(named=True)}
    header = ["model", *(f"{family} (n = {counts[family]})" for family in families)]
    return Section("after_training", {"layer": layer, "aurocs": TableData(header, rows)})


def _after(readouts: pl.DataFrame) -> tuple[Any, ...]:
    n_sycophantic = readouts["n_sycophantic_after"][0]
    return f"{n_sycophantic:.0f} sycophantic", *aurocs_of_both_vectors(readouts)


def _row(aurocs: pl.DataFrame, family: str) -> dict[str, Any] | None:
    of_family = aurocs.filter(pl.col("family") == family)
    return of_family.row(0, named=True) if len(of_family) else None


def _auroc(aurocs: pl.DataFrame, family: str) -> object:
    row = _row(aurocs, family)
    return row and interval_of(row, "auroc")
