"""How well a model's vectors predict its answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of, range_of
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.auroc import simultaneous_intervals
from sycophancy_steering.statistics.estimates import Estimate
from sycophancy_steering.storage.cell_files import (
    POSITIONS,
    null_vectors,
    pooled_over_sources,
    short_name,
    vector_names,
)

RANGES = {"random": "random directions, 95%", "shuffled": "shuffled labels, 95%"}
BASELINES = {
    "letter_auroc": "answer letter",
    "length_auroc": "prompt length",
    "margin_auroc": "logit margin",
}
CHANCE = 0.5


def predictivity_section(
    model: str, cells: pl.DataFrame, headline: str, not_sycophantic: Collection[str] = ()
) -> Section:
    """The headline vector by family, and all vectors made from its prompt set.

    `cells` are those of one extraction set, as from `read_cells`. Nothing is claimed about families
    in which the model is `not_sycophantic`.
    """
    pooled = pooled_over_sources(cells)
    selected = pooled.filter("selected")
    n_cells = len(selected.filter(pl.col("auroc").is_not_nan()))
    tables = [
        {"readout": words, "table": vector_table(part, n_cells)}
        for position, words in POSITIONS.items()
        if len(part := selected.filter(pl.col("position") == position))
    ]
    return Section(
        "predictivity",
        {
            "model": model,
            "headline": headline,
            "families": headline_facts(pooled, headline),
            "not_sycophantic": not_sycophantic,
            "tables": tables,
            "n_cells": n_cells,
            "unparsed": pooled.unique("family", maintain_order=True).rows(named=True),
        },
    )


def cross_model_section(model: str, cells: pl.DataFrame) -> Section:
    """How well other models' vectors predict this model's answers."""
    at_prompt = (pl.col("position") == "prompt") & pl.col("selected")
    selected = pooled_over_sources(cells).filter(at_prompt)
    n_cells = len(selected.filter(pl.col("auroc").is_not_nan()))
    return Section("cross_model", {"model": model, "vectors": vector_table(selected, n_cells)})


def headline_facts(cells: pl.DataFrame, headline: str) -> list[dict[str, Any]]:
    """What the headline vector predicts after the prompt, family by family.

    `auroc` is None where all answers of a family are alike.
    """
    facts = []
    at_prompt = (pl.col("vector") == headline) & (pl.col("position") == "prompt")
    for (_,), rows in cells.filter(at_prompt).group_by("family", maintain_order=True):
        row = rows.row(0, named=True)
        if row["n_sycophantic"] in (0, row["n"]):
            facts.append({**row, "auroc": None})
            continue
        row = rows.filter("selected").row(0, named=True)
        facts.append(
            {
                **row,
                "auroc": interval_of(row, "auroc"),
                "random": range_of(row, "random"),
                "verdict": verdict(row),
            }
        )
    return facts


def verdict(row: Mapping[str, Any]) -> str:
    """What an AUROC shows, given its interval and that of random directions."""
    auroc, random = interval_of(row, "auroc"), range_of(row, "random")
    assert auroc and random
    if auroc.low <= CHANCE <= auroc.high:
        return "not predicted (the interval contains 0.5)"
    prediction = "predicted" if auroc.value > CHANCE else "predicted with the opposite sign"
    inside = random.low <= auroc.value <= random.high
    return prediction + (", but no better than by random directions" if inside else "")


def vector_table(cells: pl.DataFrame, n_intervals: int) -> TableData:
    """A row a vector, then the baselines; a column a family.

    The intervals are simultaneous ones of `n_intervals` cells.
    """
    cells = with_simultaneous_intervals(cells, n_intervals)
    families = cells["family"].unique(maintain_order=True).to_list()
    vectors, nulls = vector_names(cells), null_vectors(cells)
    by_vector = {(row["vector"], row["family"]): row for row in cells.iter_rows(named=True)}
    first = [by_vector[vectors[0], family] for family in families]
    rows: list[list[object]] = []
    for vector in vectors:
        row = [by_vector[vector, family] for family in families]
        label = short_name(cells, vector) + (" (null)" if vector in nulls else "")
        rows.append([label, row[0]["layer"], *(interval_of(cell, "auroc") for cell in row)])
    rows += [[words, "", *(range_of(cell, key) for cell in first)] for key, words in RANGES.items()]
    rows += [[words, "", *(cell[key] for cell in first)] for key, words in BASELINES.items()]
    header = ["vector", "layer", *(f"{cell['family']} (n = {cell['n']})" for cell in first)]
    return TableData(header, rows)


def with_simultaneous_intervals(cells: pl.DataFrame, n_intervals: int) -> pl.DataFrame:
    """The same cells with AUROC intervals of which all contain the truth with 95% probability."""
    value, low, high = estimate("auroc")
    auroc = simultaneous_intervals(
        Estimate(*(cells[column].to_numpy() for column in (value, low, high))),
        cells["n_items_rarer_class"].to_numpy(),
        n_intervals,
    )
    return cells.with_columns(pl.Series(low, auroc.low), pl.Series(high, auroc.high))
