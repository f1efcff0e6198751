"""Whether the anticipation of a sycophantic answer and its record are one direction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from sycophancy_steering.analysis.anticipation import READOUTS, VARIANT_WORDS, most_certain_row
from sycophancy_steering.formatting.numbers import interval_of
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.report.vectors import ONLY_NOISE
from sycophancy_steering.schemas.table import estimate

COSINE = "noise_free_cosine"
_, LOW, HIGH = estimate(COSINE)
ONE_DIRECTION = 0.5
"""The cosine that separates one direction from two."""


def anticipation_section(agreement: pl.DataFrame, aurocs: pl.DataFrame) -> Section | None:
    """How far anticipation and record agree, and what the vector of each predicts.

    `agreement` comes from `anticipation_against_record`, whose intervals hold for all layers at
    once; `aurocs` from `anticipation_and_record_aurocs`.
    """
    if not len(agreement):
        return None
    within = agreement.filter(pl.col("family") == pl.col("other_family"))
    families = [
        {"family": family, **directions(part)}
        for (family,), part in within.group_by("family", maintain_order=True)
    ]
    return Section(
        "anticipation",
        {
            "families": families,
            "across": cosines_across_families(agreement),
            "aurocs": aurocs_at_best_layer(within, aurocs),
        },
    )


def directions(agreement: pl.DataFrame) -> dict[str, Any]:
    """At which layers one family's anticipation and record are one direction, and at which two.

    `best` is the layer where they agree most certainly, `cosine` their cosine there; None where
    either vector may be nothing but noise.
    """
    best = most_certain_row(agreement)
    if best[LOW] is None:
        return {"cosine": None}
    return {
        "one": layers_in_words(agreement.filter(pl.col(LOW) > ONE_DIRECTION)["layer"]),
        "two": layers_in_words(agreement.filter(pl.col(HIGH) < ONE_DIRECTION)["layer"]),
        "best": best["layer"],
        "cosine": interval_of(best, COSINE),
    }


def cosines_across_families(agreement: pl.DataFrame) -> TableData:
    """Every family's anticipation against every family's record, at the best layer of each pair."""
    cells = {}
    for key, part in agreement.group_by("family", "other_family", maintain_order=True):
        best = most_certain_row(part)
        if best[LOW] is not None:
            cells[key] = (interval_of(best, COSINE), f"layer {best['layer']}")
    families = agreement["family"].unique(maintain_order=True).to_list()
    rows = [
        [row, *(cells.get((row, column), ONLY_NOISE) for column in families)] for row in families
    ]
    return TableData(["anticipation", *families], rows)


def aurocs_at_best_layer(within: pl.DataFrame, aurocs: pl.DataFrame) -> TableData | None:
    """AUROC of each vector before and after the answer, where the two agree most certainly."""
    rows = []
    for (family,), part in aurocs.group_by("family", maintain_order=True):
        layer = most_certain_row(within.filter(pl.col("family") == family))["layer"]
        at_layer = part.filter(pl.col("layer") == layer)
        cells = {
            (row["variant"], row["position"]): interval_of(row, "auroc")
            for row in at_layer.iter_rows(named=True)
        }
        n = at_layer["n"].max()
        rows.append(
            [family, layer, n, *(cells.get((v, p)) for v in VARIANT_WORDS for p in READOUTS)]
        )
    header = ["family", "layer", "n"]
    header += [
        f"{words}, {readout[1]}"
        for words in VARIANT_WORDS.values()
        for readout in READOUTS.values()
    ]
    return TableData(header, rows) if rows else None


def layers_in_words(layers: Iterable[int]) -> str:
    """`layer 3`, `layers 0, 4, 5`, or nothing."""
    names = [str(layer) for layer in layers]
    return f"layer{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""
