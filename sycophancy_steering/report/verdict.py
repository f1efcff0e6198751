"""The verdict: what the study found about one model, in at most fifteen lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, Range, interval_of, range_of
from sycophancy_steering.report.behaviour import CONTROLS
from sycophancy_steering.report.predictivity import CHANCE
from sycophancy_steering.report.templates import Section
from sycophancy_steering.schemas.interventions import OWN
from sycophancy_steering.storage.cell_files import (
    EVERY_SOURCE,
    POSITIONS,
    families_with_few_items,
    pooled_over_sources,
)
from sycophancy_steering.storage.label_files import not_sycophantic

STRENGTH = 1.0
"""The coefficient whose effect the verdict names, in the suite's unit, towards sycophancy."""


@dataclass(frozen=True)
class Findings:
    """The tables about one model that a verdict is made from."""

    behaviour: pl.DataFrame
    cells: pl.DataFrame
    """Of the headline's extraction set, as from `read_cells`."""
    incremental_validity: pl.DataFrame
    selected: pl.DataFrame
    dose_response: pl.DataFrame
    power: pl.DataFrame | None = None
    """The table POWER; None of a model whose cause is planted in training."""


def verdict_section(
    model: str, headline: str, findings: Findings, controls: Sequence[str] = ()
) -> Section:
    """What the model does, what predicts it, and whether the vector is a cause.

    `controls` are the other models studied, whose causes are known.
    """
    pooled = findings.behaviour.filter(pl.col("source") == EVERY_SOURCE)
    nothing = not_sycophantic(findings.behaviour)
    of_vector = pooled_over_sources(findings.cells).filter(
        pl.col("vector") == headline, pl.col("selected")
    )
    sycophantic = [name for name in pooled["family"] if name not in nothing]
    few = families_with_few_items(of_vector)
    families = [name for name in sycophantic if name not in few]
    return Section(
        "verdict",
        {
            "model": model,
            "headline": headline,
            "n_answers": pooled["n"].sum(),
            "behaviour": [_behaviour(row) for row in pooled.iter_rows(named=True)],
            "families": families,
            "too_few": [name for name in sycophantic if name in few],
            "predictions": {
                words: _predictions(of_vector, position, families)
                for position, words in POSITIONS.items()
            },
            "texts": _added_to_text(findings.incremental_validity, families),
            "best": _best(findings.selected, families),
            "detectable": _detectable(findings.power, families),
            "effects": _effects(findings.dose_response, headline, families),
            "controls": controls,
        },
    )


def _behaviour(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "rate": interval_of(row, "rate"),
        "control": CONTROLS.get(row["control"], CONTROLS[None]),
        "control_rate": interval_of(row, "control_rate"),
    }


def _predictions(
    cells: pl.DataFrame, position: str, families: Collection[str]
) -> dict[str, list[dict[str, Any]]]:
    """The families by what the vector predicts there: `predicted`, `opposite`, `not predicted`."""
    by_outcome: dict[str, list[dict[str, Any]]] = {"predicted": [], "opposite": [], "not": []}
    at_position = cells.filter(pl.col("position") == position, pl.col("family").is_in(families))
    for row in at_position.iter_rows(named=True):
        auroc, random = interval_of(row, "auroc"), range_of(row, "random")
        if auroc is None or random is None:
            continue
        facts = {
            "family": row["family"],
            "n": row["n"],
            "n_items": row["n_items"],
            "auroc": auroc,
            "random": random,
            "within_items": interval_of(row, "within_item_auroc"),
            "as_random": random.low <= auroc.value <= random.high,
        }
        by_outcome[predicts(auroc)].append(facts)
    return by_outcome


def predicts(auroc: Interval) -> str:
    """Whether an AUROC's interval lies above a half, below it (`opposite`), or holds it."""
    if auroc.low > CHANCE:
        return "predicted"
    return "opposite" if auroc.high < CHANCE else "not"


def _added_to_text(validity: pl.DataFrame, families: Collection[str]) -> list[dict[str, Any]]:
    """The prompt's words alone, and what the projection adds to them, by family."""
    facts = []
    for family in families:
        rows = {
            row["predictor"]: row
            for row in validity.filter(
                pl.col("family") == family, pl.col("source") == EVERY_SOURCE
            ).iter_rows(named=True)
        }
        if rows:
            facts.append(
                {
                    "family": family,
                    "n": rows["text"]["n"],
                    "margin": interval_of(rows["margin"], "auroc"),
                    "text": interval_of(rows["text"], "auroc"),
                    "added": interval_of(rows["text + projection"], "added_auroc"),
                }
            )
    return facts


def _best(selected: pl.DataFrame, families: Collection[str]) -> list[dict[str, Any]]:
    """The best vector on `select` before the answer, by family."""
    before = selected.filter(pl.col("position") == "prompt", pl.col("family").is_in(families))
    return [{**row, "auroc": interval_of(row, "auroc")} for row in before.iter_rows(named=True)]


def _detectable(power: pl.DataFrame | None, families: Collection[str]) -> list[dict[str, Any]]:
    """The smallest true AUROC that this study would have found, in four of five, by family."""
    if power is None:
        return []
    known = power.filter(
        pl.col("planted") == "as_labelled",
        pl.col("family").is_in(families),
        pl.col("detectable_auroc").is_not_null(),
    )
    return known.unique("family", maintain_order=True).rows(named=True)


def _effects(
    responses: pl.DataFrame, headline: str, families: Collection[str]
) -> list[dict[str, Any]]:
    """What adding the vector once does to the log-odds, beside random vectors of its norm."""
    added = responses.filter(
        pl.col("vector") == headline,
        pl.col("kind") == "add",
        pl.col("coefficient") == STRENGTH,
        pl.col("family").is_in(families),
    )
    facts = []
    for (family,), part in added.group_by("family", maintain_order=True):
        own = part.filter(pl.col("direction") == OWN)
        random = part.filter(pl.col("direction") != OWN)["shift"].drop_nulls()
        if own.is_empty() or random.is_empty():
            continue
        shift = interval_of(own.row(0, named=True), "shift")
        if shift is None:
            continue
        between = Range(float(random.min()), float(random.max()))  # type: ignore[arg-type]
        facts.append(
            {
                "family": family,
                "n": own["n"][0],
                "shift": shift,
                "random": between,
                "causes": shift.low > max(0.0, between.high),
                "n_random": len(random),
            }
        )
    return facts
