"""What steering along a vector, or removing it, does to a model's answers."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from sycophancy_steering.formatting.numbers import Range, interval_of
from sycophancy_steering.report.templates import Quotation, Section, TableData
from sycophancy_steering.schemas.interventions import OWN

REMOVALS = {
    "remove": "component removed",
    "everywhere": "removed at every layer and token",
    "mean": "set to its mean",
    "leace": "erased (LEACE)",
}
"""Interventions that take a direction out, in words."""
WHERE = {
    "every": "at every token",
    "prompt_end": "at the last token of the prompt",
    "answer": "at the tokens of the answer",
    "prompt_end_on": "from the last token of the prompt on",
}
"""`interventions.where`, in words."""
RATES, SHIFTS = ("rate_0", "rate_1"), ("shift", "wrong_way_share")
UNCHANGED = "no intervention"


def steering_section(responses: pl.DataFrame, headline: str, where: str) -> Section:
    """Whether the direction is a cause. `responses` is dose_response.csv."""
    of_vector = responses.filter(pl.col("vector") == headline)
    families = of_vector["family"].unique(maintain_order=True).to_list()
    own = of_vector.filter(pl.col("direction") == OWN)
    random = of_vector.filter(pl.col("direction") != OWN)
    rates: list[list[object]] = [[UNCHANGED, *(_baseline(of_vector, f) for f in families)]]
    shifts: list[list[object]] = []
    for coefficient in sorted(_added(own)["coefficient"].unique()):
        part = _added(own, coefficient)
        rates.append([f"{coefficient:+g}", *_intervals(part, families, RATES)])
        shifts.append([f"{coefficient:+g}", *_intervals(part, families, SHIFTS)])
    for kind, words in REMOVALS.items():
        part = own.filter(pl.col("kind") == kind)
        rates.append([words, *_intervals(part, families, RATES)])
    for coefficient in (1, -1):
        part = _added(random, coefficient)
        rates.append([f"{coefficient:+d}, random", *_ranges(part, families, RATES)])
        shifts.append([f"{coefficient:+d}, random", *_ranges(part, families, SHIFTS)])
    for kind, words in (("mean", "set to its mean"), ("everywhere", "removed everywhere")):
        part = random.filter(pl.col("kind") == kind)
        rates.append([f"{words}, random", *_ranges(part, families, RATES)])
    header = ["coefficient or removal", *families]
    return Section(
        "steering",
        {
            "headline": headline,
            "layer": of_vector["layer"][0],
            "where": WHERE[where],
            "n_random": random["direction"].n_unique(),
            "rates": TableData(header, rates),
            "shifts": TableData(["coefficient", *families], shifts),
        },
    )


def generation_section(texts: pl.DataFrame, headline: str) -> Section:
    """What the steered model writes. `texts` is texts.csv."""
    rows = [
        [
            row["family"],
            "sycophantic" if row["label"] else "other",
            *(Quotation(row[column]) for column in ("question", "minus", "baseline", "plus")),
        ]
        for row in texts.iter_rows(named=True)
    ]
    header = ["family", "unsteered answer", "question (last turn)", "-1", "unsteered", "+1"]
    return Section("generation", {"headline": headline, "texts": TableData(header, rows)})


def side_effects_section(
    side_effects: pl.DataFrame, generation: pl.DataFrame, headline: str
) -> Section:
    """What steering costs. `side_effects` is side_effects.csv, `generation` generation.csv."""
    direction = pl.col("direction")
    own = side_effects.filter(direction.is_null() | (direction == OWN))
    random = side_effects.filter(direction.is_not_null() & (direction != OWN))
    weighted = (pl.col("unparsed_share") * pl.col("n")).sum() / pl.col("n").sum()
    unparsed = dict(
        generation.group_by("coefficient", maintain_order=True).agg(weighted).iter_rows()
    )
    rows: list[list[object]] = []
    for row in own.iter_rows(named=True):
        kind, coefficient = row["kind"], row["coefficient"]
        words = f"{coefficient:+g}" if kind == "add" else REMOVALS.get(kind, UNCHANGED)
        share = unparsed.get(coefficient or 0.0) if kind in (None, "add") else None
        facts, nll = interval_of(row, "fact_accuracy"), interval_of(row, "neutral_nll")
        rows.append([words, facts, nll, None if share is None else f"{share:.1%}"])
    ranges = [Range(*_ends(random[column])) for column in ("fact_accuracy", "neutral_nll")]
    rows.append(["random vectors, all", *ranges, None])
    header = [
        "coefficient or removal",
        "facts known",
        "neutral text, added nats per token",
        "unparsed answers",
    ]
    return Section("side_effects", {"headline": headline, "costs": TableData(header, rows)})


def _added(responses: pl.DataFrame, coefficient: float | None = None) -> pl.DataFrame:
    added = responses.filter(pl.col("kind") == "add")
    return added if coefficient is None else added.filter(pl.col("coefficient") == coefficient)


def _baseline(responses: pl.DataFrame, family: str) -> str:
    row = responses.filter(pl.col("family") == family).row(0, named=True)
    rates = f"{row['baseline_rate_0']:.2f}; {row['baseline_rate_1']:.2f}"
    return f"{rates} (n = {row['n_0']}; {row['n_1']})"


def _intervals(
    responses: pl.DataFrame, families: Iterable[str], columns: tuple[str, ...]
) -> list[object]:
    rows = {row["family"]: row for row in responses.iter_rows(named=True)}
    return [tuple(interval_of(rows[family], c) for c in columns) for family in families]


def _ranges(
    responses: pl.DataFrame, families: Iterable[str], columns: tuple[str, ...]
) -> list[object]:
    cells: list[object] = []
    for family in families:
        part = responses.filter(pl.col("family") == family)
        cells.append(tuple(Range(*_ends(part[column])) for column in columns))
    return cells


def _ends(values: pl.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())  # type: ignore[arg-type]
