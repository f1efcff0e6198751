"""How consistent a model's vectors are, and when its answers can be predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of, share_text
from sycophancy_steering.questions.prompt_table import read_kept_statistics
from sycophancy_steering.report.templates import Section, TableData
from sycophancy_steering.schemas.paths import PROMPTS

COMPONENTS = {
    "prompt set": "another prompt set",
    "position": "another position",
    "both": "both",
    "letter": "the other letter only",
    "template": "another template",
    "item": "other items",
    "question": "other questions about them",
    "seed": "another half of the questions",
}
"""What two vectors may differ in: values of `component` in variance.csv."""
ONLY_NOISE = "only noise"


def variance_section(variance: pl.DataFrame, layer: int) -> Section:
    """What makes mean differences differ: a row a component, a column a set."""
    at_layer = variance.filter(pl.col("layer") == layer)
    sets = at_layer["prompt_set"].drop_nulls().unique(maintain_order=True).to_list()
    cells = {
        (row["component"], row["prompt_set"]): (
            interval_of(row, "variance") if row["n_compared"] else ONLY_NOISE
        )
        for row in at_layer.iter_rows(named=True)
    }
    rows = [
        [words, *(cells.get((component, name)) for name in (None, *sets))]
        for component, words in COMPONENTS.items()
        if any(key[0] == component for key in cells)
    ]
    header = ["made from", "between sets", *sets]
    return Section("variance", {"layer": layer, "variance": TableData(header, rows)})


def reliability_section(reliability: pl.DataFrame, layer: int) -> Section | None:
    """How far two vectors of the same number of pairs agree."""
    at_layer = reliability.filter(pl.col("layer") == layer)
    if not len(at_layer):
        return None
    sets = at_layer["prompt_set"].unique(maintain_order=True).to_list()
    rows = []
    for (n_pairs,), part in at_layer.group_by("n_pairs", maintain_order=True):
        cells = {row["prompt_set"]: interval_of(row, "cosine") for row in part.rows(named=True)}
        rows.append([n_pairs, *(cells.get(name) for name in sets)])
    return Section(
        "reliability",
        {
            "layer": layer,
            "n_resamples": at_layer["n_resamples"][0],
            "reliability": TableData(["pairs", *sets], rows),
        },
    )


def tokens_section(tokens: pl.DataFrame, headline: str) -> Section | None:
    """When the answer can be predicted, beside a reader of the text so far."""
    of_headline = tokens.filter(pl.col("vector") == headline)
    if not len(of_headline):
        return None
    families = of_headline["family"].unique(maintain_order=True).to_list()
    rows = []
    for (token,), part in of_headline.sort("token").group_by("token", maintain_order=True):
        cells = {
            row["family"]: (
                interval_of(row, "auroc"),
                interval_of(row, "auroc_minus_text"),
                f"{share_text(row['text_reveals_share'])} of {row['n']}",
            )
            for row in part.iter_rows(named=True)
        }
        rows.append([token, *(cells.get(family) for family in families)])
    table = TableData(["token", *families], rows)
    return Section("tokens", {"headline": headline, "tokens": table})


def kept_statistics_section(extraction_sets: Sequence[str]) -> Section | None:
    """Which analyses leave out the sets of whose activations statistics are kept."""
    sets = [name for name in extraction_sets if read_kept_statistics(PROMPTS / f"{name}.parquet")]
    return Section("kept_statistics", {"sets": sets}) if sets else None


def skipped_variants_section(skipped: Mapping[str, Mapping[str, str]]) -> Section | None:
    """Variants that could not be made from a set's answers, with the reason; by set."""
    lines = [
        {"vector": f"{prompt_set}/{variant}", "reason": reason}
        for prompt_set, variants in skipped.items()
        for variant, reason in variants.items()
    ]
    return Section("skipped_variants", {"skipped": lines}) if lines else None
