"""How well a model's vectors predict its answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, interval_of, p_text, range_of
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.auroc import LEAST_ITEMS, simultaneous_intervals
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
SIGNIFICANT = 0.05


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
    facts = headline_facts(pooled, headline)
    claimed = [fact for fact in facts if fact["family"] not in not_sycophantic]
    return Section(
        "predictivity",
        {
            "model": model,
            "headline": headline,
            "families": facts,
            "not_sycophantic": not_sycophantic,
            "yardsticks": yardstick_table(claimed) if claimed else None,
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
        row = rows.filter("selected").row(0, named=True)
        auroc = interval_of(row, "auroc")
        facts.append(
            {
                **row,
                "auroc": auroc,
                "random": range_of(row, "random"),
                "verdict": verdict(row) if auroc else None,
                "within": {kind: verdict_within(row, kind) for kind in ("item", "template")},
                "rank_verdict": rank_verdict(row),
            }
        )
    return facts


def yardstick_table(facts: list[dict[str, Any]]) -> TableData:
    """The headline vector's numbers within items and templates, and against the shift."""
    rows: list[list[object]] = [
        [
            fact["family"],
            f"{fact['n']} ({fact['n_items']})",
            fact["auroc"],
            _if_enough(fact, "item"),
            fact["n_mixed_items"],
            _if_enough(fact, "template"),
            fact["n_mixed_templates"],
            interval_of(fact, "rank_correlation"),
            p_text(fact["rank_correlation_p"]),
            f"{fact['n_shifts']} ({fact['n_shift_items']})",
        ]
        for fact in facts
    ]
    header = ["family", "answers (items)", "AUROC", "within items", "mixed items"]
    header += ["within templates", "mixed templates", "rank correlation", "p", "shifts (items)"]
    return TableData(header, rows)


def _if_enough(row: Mapping[str, Any], kind: str) -> Interval | None:
    return interval_of(row, f"within_{kind}_auroc") if missing_within(row, kind) is None else None


def verdict_within(row: Mapping[str, Any], kind: str) -> str:
    """What the AUROC within items or templates (`kind`) shows, or why there is none."""
    if missing := missing_within(row, kind):
        return missing
    within = interval_of(row, f"within_{kind}_auroc")
    assert within
    if within.low <= CHANCE <= within.high:
        return "not shown"
    return "predicted" if within.value > CHANCE else "predicted with the opposite sign"


def missing_within(row: Mapping[str, Any], kind: str) -> str | None:
    """Why there is no AUROC within items or templates (`kind`); None where there is one."""
    if not row[f"n_mixed_{kind}s"]:
        return f"no {kind} has answers of both kinds"
    if row[f"within_{kind}_auroc"] is None:
        return f"all questions have the same {kind}"
    n_items = row["n_mixed_items" if kind == "item" else "n_items_rarer_class"]
    return f"too few items to say ({n_items})" if n_items < LEAST_ITEMS else None


def rank_verdict(row: Mapping[str, Any]) -> str:
    """Whether the projection goes with the shift, the continuous outcome."""
    correlation, p = interval_of(row, "rank_correlation"), row["rank_correlation_p"]
    if correlation is None or p is None:
        return "not known, as no shift varies"
    if row["n_shift_items"] < LEAST_ITEMS:
        return f"too few items to say ({row['n_shift_items']})"
    if p > SIGNIFICANT:
        return f"not shown (p {p_text(p)})"
    if correlation.low <= 0 <= correlation.high:
        return f"unclear (p {p_text(p)}, but the interval contains 0)"
    return f"{'higher' if correlation.value > 0 else 'lower'} where it is larger (p {p_text(p)})"


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
