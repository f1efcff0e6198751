"""What the projection adds, how many pairs it takes, and where vectors transfer."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from sycophancy_steering.formatting.numbers import Interval, interval_of
from sycophancy_steering.report.predictivity import with_simultaneous_intervals
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.storage.cell_files import family_and_source

PREDICTORS = ("text", "margin", "projection")
BASELINES = PREDICTORS[:2]


def incremental_validity_section(
    validity: pl.DataFrame, headline: str, not_sycophantic: Collection[str] = ()
) -> Section | None:
    """What the projection adds to a reader of the prompt and to the logit margin, over all answers
    and within items and templates.

    Families in which the model is `not_sycophantic` are marked.
    """
    if not len(validity):
        return None
    rows = []
    named = validity.with_columns(family_and_source().alias("name"))
    for (name,), part in named.group_by("name", maintain_order=True):
        by_predictor = {row["predictor"]: row for row in part.iter_rows(named=True)}
        first = by_predictor[PREDICTORS[0]]
        mark = ", not sycophantic" if first["family"] in not_sycophantic else ""
        rows.append([f"{name} (n = {first['n']}{mark})", *_validity_cells(by_predictor, "auroc")])
        for kind in ("item", "template"):
            cells = _validity_cells(by_predictor, f"within_{kind}_auroc")
            if any(cells):
                rows.append([f"{name}, within {first[f'n_mixed_{kind}s']} {kind}s", *cells])
            else:
                rows.append([f"{name}, within {kind}s: too few", *cells])
    header = ["family", "text", "margin", "projection", "added to text", "added to margin"]
    return Section(
        "incremental_validity", {"headline": headline, "validity": TableData(header, rows)}
    )


def _validity_cells(
    by_predictor: Mapping[str, Mapping[str, float]], name: str
) -> list[Interval | None]:
    """The estimate NAME of each predictor, and what the projection adds to it to the baselines."""
    added = [interval_of(by_predictor[f"{one} + projection"], f"added_{name}") for one in BASELINES]
    return [*(interval_of(by_predictor[one], name) for one in PREDICTORS), *added]


def sample_efficiency_section(efficiency: pl.DataFrame, family: str, method: str) -> Section | None:
    """How many pairs one method needs on one family, and what pairing saves."""
    part = efficiency.filter(pl.col("family") == family, pl.col("method") == method)
    if not len(part):
        return None
    rows = []
    for (n_pairs,), both in part.group_by("n_pairs", maintain_order=True):
        cells = {row["paired"]: row for row in both.iter_rows(named=True)}
        row: list[object] = [n_pairs]
        for paired in (True, False):
            cell = cells.get(paired)
            row.append(cell and (interval_of(cell, "auroc"), f"{cell['auroc_sd']:.3f}"))
        rows.append(row)
    header = ["pairs", "both answers of n questions", "n questions and n others"]
    return Section(
        "sample_efficiency",
        {
            "family": family,
            "method": method,
            "n_resamples": part["n_resamples"].max(),
            "efficiency": TableData(header, rows),
        },
    )


def transfer_section(
    transfer: pl.DataFrame, from_cosines: pl.DataFrame, method: str
) -> Section | None:
    """Sets x families of one method at one layer, and what cosines say about transfer."""
    if not len(transfer):
        return None
    named = with_simultaneous_intervals(transfer, len(transfer)).with_columns(
        family_and_source().alias("name")
    )
    families = named["name"].unique(maintain_order=True).to_list()
    cells = {(row["prompt_set"], row["name"]): row for row in named.iter_rows(named=True)}
    rows = [
        [prompt_set, *(_transfer_cell(cells[prompt_set, family]) for family in families)]
        for prompt_set in named["prompt_set"].unique(maintain_order=True)
    ]
    correlations = {
        row["metric"]: interval_of(row, "rank_correlation")
        for row in from_cosines.iter_rows(named=True)
    }
    return Section(
        "transfer",
        {
            "method": method,
            "layer": transfer["layer"][0],
            "transfer": TableData(["made from", *families], rows),
            "correlations": correlations,
        },
    )


def _transfer_cell(cell: dict[str, float]) -> tuple[Interval | str | None, ...]:
    auroc = interval_of(cell, "auroc")
    if cell["own_set"]:
        return auroc, "own set"
    if cell["cosine"] is None or cell["cosine"] != cell["cosine"]:
        return (auroc,)  # the family has no vector of its own
    return auroc, f"cosine {cell['cosine']:.2f}, {cell['mahalanobis_cosine']:.2f}"
