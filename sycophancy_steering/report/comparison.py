"""Which choices move predictivity, and which vector predicts best."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.storage.cell_files import POSITIONS

COMPONENTS = ("between_sets", "between_methods", "interaction", "largest_gap")


def variance_components_section(components: pl.DataFrame) -> Section | None:
    """How far a model's AUROCs vary with the prompt set, the method and their interaction."""
    families = [
        {**row, **{name: interval_of(row, name) for name in COMPONENTS}}
        for row in components.iter_rows(named=True)
    ]
    return Section("variance_components", {"families": families}) if families else None


def selection_section(selected: pl.DataFrame) -> Section | None:
    """A model's best vectors on `select`, evaluated on `test` and tested against chance."""
    if not len(selected):
        return None
    rows = [
        [
            row["family"],
            POSITIONS[row["position"]],
            f"{row['vector']}, layer {row['layer']}",
            row["n"],
            interval_of(row, "auroc"),
            f"{row['p_all_cells']:.3f}",
            f"{row['p_shuffled_pairs']:.3f}",
        ]
        for row in selected.iter_rows(named=True)
    ]
    header = ["family", "readout", "selected", "n", "AUROC", "p, all cells", "p, shuffled pairs"]
    return Section(
        "selection",
        {"n_cells": selected["n_cells"][0], "selected": TableData(header, rows)},
    )
