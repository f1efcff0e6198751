"""What steering along a vector, or removing it, does to a model's answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from sycophancy_steering.config.interventions import TokenPositions
from sycophancy_steering.config.suite import CoefficientUnit
from sycophancy_steering.formatting.numbers import Interval, Range, interval_of, p_text
from sycophancy_steering.report.templates import Quotation, Section, TableData
from sycophancy_steering.schemas.interventions import OWN
from sycophancy_steering.storage.label_files import not_sycophantic

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
UNITS = {
    "class_separation": "the distance between the model's sycophantic and other answers along it",
    "vector": "the vector as long as it was made",
}
"""`coefficient_unit` of the suite, in words."""
RATES, SHIFTS = ("rate_0", "rate_1"), ("shift", "wrong_way_share")
UNCHANGED = "no intervention"
EFFECTS_HEADER = (
    *("vector", "kind of question", "n", "added", "random vectors", "p"),
    *("removed", "random removed"),
)
SIGNIFICANCE = 0.05
"""Below this p-value a vector moves answers further than random vectors do."""


@dataclass(frozen=True)
class SteeringFacts:
    """How a model was steered."""

    vector: str
    """SET/VARIANT."""
    where: TokenPositions
    unit: CoefficientUnit

    def words(self) -> dict[str, object]:
        """What templates name."""
        return {"headline": self.vector, "where": WHERE[self.where], "unit": UNITS[self.unit]}


@dataclass(frozen=True)
class NotSteered:
    """Families on which nothing is steered."""

    not_sycophantic: Collection[str]
    """The user's words do not move the model there."""
    one_class: Collection[str]
    """All eligible answers are alike."""


def not_steered(behaviour: pl.DataFrame, responses: pl.DataFrame) -> NotSteered:
    """The families of the table BEHAVIOUR that are missing in dose_response.csv, and why."""
    missing = sorted({*behaviour["family"]} - {*responses["family"]})
    unmoved = not_sycophantic(behaviour)
    return NotSteered(
        [family for family in missing if family in unmoved],
        [family for family in missing if family not in unmoved],
    )


def causal_section(
    effects: pl.DataFrame, responses: pl.DataFrame, missing: NotSteered, steering: SteeringFacts
) -> Section:
    """For each family, in a sentence, whether the vector moves answers as no random vector does;
    and a table of the other vectors that were added.

    `effects` is causal_effects.csv, and `responses` dose_response.csv.
    """
    others = effects_table(effects.filter(pl.col("vector") != steering.vector))
    effects, responses = (
        table.filter(pl.col("vector") == steering.vector) for table in (effects, responses)
    )
    families = []
    for row in effects.iter_rows(named=True):
        added, plus = interval_of(row, "slope"), _own_row(responses, row["family"], 1.0)
        assert added
        families.append(
            {
                **row,
                "verdict": _verdict(added, row["slope_p"]),
                "added": added,
                "random": Range(row["random_slope_lowest"], row["random_slope_highest"]),
                "removed": interval_of(row, "removal"),
                "random_removed": _range_of(row, "random_removal"),
                "baseline": plus["baseline_rate_0"],
                "steered": interval_of(plus, "rate_0"),
                "n_0": plus["n_0"],
            }
        )
    facts: dict[str, object] = {"families": families, "missing": missing, "others": others}
    if families:
        facts |= steering.words()
        facts |= {"layer": families[0]["layer"], "n_random": families[0]["n_random"]}
    return Section("causal", facts)


def _verdict(added: Interval, p: float) -> str:
    """`cause`, `wrong way` or `nothing`."""
    if p >= SIGNIFICANCE or not (added.low > 0 or added.high < 0):
        return "nothing"
    return "cause" if added.low > 0 else "wrong way"


def _own_row(responses: pl.DataFrame, family: str, coefficient: float) -> dict[str, Any]:
    own = responses.filter(pl.col("direction") == OWN, pl.col("family") == family)
    return _added(own, coefficient).row(0, named=True)


def effects_table(effects: pl.DataFrame) -> TableData:
    """A row a vector and family of causal_effects.csv, as numbers."""
    rows = [
        [
            *(f"{row['vector']}, layer {row['layer']}", row["family"], row["n"]),
            interval_of(row, "slope"),
            Range(row["random_slope_lowest"], row["random_slope_highest"]),
            p_text(row["slope_p"]),
            interval_of(row, "removal"),
            _range_of(row, "random_removal"),
        ]
        for row in effects.iter_rows(named=True)
    ]
    return TableData(EFFECTS_HEADER, rows)


def _range_of(row: Mapping[str, Any], name: str) -> Range | None:
    lowest, highest = row[f"{name}_lowest"], row[f"{name}_highest"]
    return None if lowest is None else Range(lowest, highest)


def steering_section(responses: pl.DataFrame, steering: SteeringFacts) -> Section | None:
    """Rates and shifts under every condition. `responses` is dose_response.csv; None without any
    answer of the vector."""
    of_vector = responses.filter(pl.col("vector") == steering.vector)
    if not len(of_vector):
        return None
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
        if len(part := own.filter(pl.col("kind") == kind)):
            rates.append([words, *_intervals(part, families, RATES)])
    for coefficient in (1, -1):
        part = _added(random, coefficient)
        rates.append([f"{coefficient:+d}, random", *_ranges(part, families, RATES)])
        shifts.append([f"{coefficient:+d}, random", *_ranges(part, families, SHIFTS)])
    for kind, words in (("mean", "set to its mean"), ("everywhere", "removed everywhere")):
        if len(part := random.filter(pl.col("kind") == kind)):
            rates.append([f"{words}, random", *_ranges(part, families, RATES)])
    header = ["coefficient or removal", *families]
    return Section(
        "steering",
        {
            **steering.words(),
            "layer": of_vector["layer"][0],
            "n_random": random["direction"].n_unique(),
            "rates": TableData(header, rates),
            "shifts": TableData(["coefficient", *families], shifts),
        },
    )


def generation_section(
    texts: pl.DataFrame, generation: pl.DataFrame, headline: str
) -> Section | None:
    """What the steered model writes. `texts` is texts.csv, `generation` generation.csv; None where
    nothing was generated."""
    if not len(texts):
        return None
    lowest, _, highest = (f"{number:+g}" for number in sorted(generation["coefficient"].unique()))
    rows = [
        [
            row["family"],
            "sycophantic" if row["label"] else "other",
            *(Quotation(row[column]) for column in ("question", "minus", "baseline", "plus")),
        ]
        for row in texts.iter_rows(named=True)
    ]
    header = ["family", "unsteered answer", "question (last turn)", lowest, "unsteered", highest]
    facts = {"headline": headline, "lowest": lowest, "highest": highest}
    return Section("generation", {**facts, "texts": TableData(header, rows)})


def side_effects_section(
    side_effects: pl.DataFrame, generation: pl.DataFrame, headline: str
) -> Section | None:
    """What steering costs. `side_effects` is side_effects.csv, `generation` generation.csv; None
    where nothing was steered."""
    if not len(side_effects):
        return None
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
    rows.append(["random vector", *ranges, None])
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
