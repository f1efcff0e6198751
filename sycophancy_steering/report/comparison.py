"""Which choices move predictivity, and which vector predicts best."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of, p_text
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


def selection_section(
    selected: pl.DataFrame, not_sycophantic: Collection[str] = ()
) -> Section | None:
    """A model's best vectors on `select`, evaluated on `test` and tested against chance.

    Nothing is claimed about families in which the model is `not_sycophantic`.
    """
    left_out = [
        family
        for family in selected["family"].unique(maintain_order=True)
        if family in not_sycophantic
    ]
    selected = selected.filter(~pl.col("family").is_in(left_out))
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
            p_text(row["p_shuffled_pairs"]),
            interval_of(row, "rank_correlation"),
            p_text(row["rank_correlation_p_all_cells"]),
        ]
        for row in selected.iter_rows(named=True)
    ]
    header = ["family", "readout", "selected", "n", "AUROC", "p, all cells", "p, shuffled pairs"]
    header += ["rank correlation", "its p, all cells"]
    return Section(
        "selection",
        {
            "n_cells": selected["n_cells"][0],
            "selected": TableData(header, rows),
            "left_out": left_out,
        },
    )
