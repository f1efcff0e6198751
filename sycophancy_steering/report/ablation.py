"""What can still be predicted once a direction is removed."""

from __future__ import annotations

from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of
from sycophancy_steering.report.steering import REMOVALS, UNCHANGED
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.schemas.interventions import ORIGINAL, OWN, REFITTED
from sycophancy_steering.schemas.table import estimate


def ablation_section(ablation: pl.DataFrame, headline: str) -> Section | None:
    """AUROCs one layer above the removal. `ablation` is ablation.csv; None where it is empty."""
    if not len(ablation):
        return None
    families = ablation["family"].unique(maintain_order=True).to_list()
    removed_at = int(ablation.drop_nulls("layer")["layer"][0])
    readout_layer = min(removed_at + 1, ablation["readout_layer"].n_unique() - 1)
    rows = []
    for kind, direction in ablation.select("kind", "direction").unique(maintain_order=True).rows():
        part = ablation.filter(
            pl.col("kind").eq_missing(kind), pl.col("direction").eq_missing(direction)
        )
        words = UNCHANGED if kind is None else REMOVALS[kind]
        null = "" if direction in (None, OWN) else ", random"
        at_layer = part.filter(pl.col("readout_layer") == readout_layer)
        rows.append([words + null, *(_aurocs(at_layer, family) for family in families)])
    counts = {row["family"]: row for row in ablation.iter_rows(named=True)}
    header = [
        "removal",
        *(f"{f} (n = {counts[f]['n']} in {counts[f]['n_items']} items)" for f in families),
    ]
    return Section(
        "ablation",
        {
            "headline": headline,
            "layer": removed_at,
            "readout_layer": readout_layer,
            "aurocs": TableData(header, rows),
        },
    )


def _aurocs(at_layer: pl.DataFrame, family: str) -> tuple[Any, ...]:
    return aurocs_of_both_vectors(at_layer.filter(pl.col("family") == family))


def aurocs_of_both_vectors(readouts: pl.DataFrame) -> tuple[Any, ...]:
    """AUROC of the original labels by the same vector and by a refitted one, and of the labels
    after the intervention by the same vector. `readouts` has a row for each of the vectors."""
    same, refitted = (
        readouts.filter(pl.col("readout_vector") == vector).row(0, named=True)
        for vector in (ORIGINAL, REFITTED)
    )
    cells = [(same, "auroc"), (refitted, "auroc"), (same, "auroc_after")]
    return tuple(
        None if None in (row[column] for column in estimate(name)) else interval_of(row, name)
        for row, name in cells
    )
