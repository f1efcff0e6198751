"""The vectors of a model compared: the best against chance, all against the headline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.analysis.maximum_statistics import largest_statistics
from sycophancy_steering.analysis.selection import (
    TARGET,
    best_of_shuffled_pairs,
    false_positive_rate,
    permutation_p_value,
    select_best,
)
from sycophancy_steering.analysis.variance_components import components_of_scores
from sycophancy_steering.config.foreign_vectors import FOREIGN
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.comparison import DIFFERENCES, SELECTED, VARIANCE_COMPONENTS
from sycophancy_steering.schemas.paths import ACTIVATIONS
from sycophancy_steering.schemas.predictivity import (
    CELLS,
    RANK,
    SCORES,
    SHUFFLED_PAIRS,
    STRATIFIED,
)
from sycophancy_steering.schemas.table import Table, estimate
from sycophancy_steering.statistics.auroc_difference import auroc_differences_from
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.statistics.sign_flips import p_values
from sycophancy_steering.storage.activation_statistics import keeps_statistics
from sycophancy_steering.storage.cell_files import EVERY_SOURCE, POSITIONS, evaluated_sets

SCORE_COLUMNS = ["vector", "id", "family", "item", "label", "projection"]
SELECTED_FROM_CELLS = [
    *("n", "n_items", *estimate("auroc"), *STRATIFIED, "n_mixed_items", "n_mixed_templates"),
    *(*RANK, "n_shifts", "n_shift_items"),
]
"""Columns of SELECTED that are those of the selected cell."""
NOT_SHUFFLED = dict.fromkeys(
    ["p_shuffled_pairs", "shuffled_low", "shuffled_high", "shuffled_significant_share"]
)
"""Columns of SELECTED where there are no vectors of shuffled pairs of some set."""


@dataclass(frozen=True)
class ComparisonTables:
    """How the vectors of some models compare."""

    selected: pl.DataFrame
    """The table SELECTED."""
    differences: pl.DataFrame
    """The table DIFFERENCES."""
    variance_components: pl.DataFrame
    """The table VARIANCE_COMPONENTS."""


def comparison_tables(
    suites: Mapping[str, Suite],
) -> ComparisonTables:
    """Compares the vectors of each model, given the suite that it is studied on.

    Raises InputError where a table of predictivity is missing, or has no headline vector.
    """
    selected, differences, components = [], [], []
    for model, suite in suites.items():
        sets, headline = evaluated_sets(model, suite.extraction_sets), suite.headline
        cells = _projection_cells(model, sets)
        selected += _selected_rows(model, sets, cells)
        variants = cells["vector"].unique().to_list()
        for family in cells["family"].unique(maintain_order=True):
            names = {"model": model, "family": family}
            scores = _scores(model, sets, family)
            if headline not in scores["vector"]:
                raise InputError(f"params.yaml: suite: headline: no vector {headline} of {model}")
            table = auroc_differences_from(scores, headline).rename(
                {f"difference{end}": f"auroc_difference{end}" for end in ("", "_low", "_high")}
            )
            differences.append(
                table.select(*(pl.lit(value).alias(key) for key, value in names.items()), pl.all())
            )
            # Vectors from elsewhere are no set on which the methods were tried.
            in_grid = pl.col("vector").is_in(variants) & (pl.col("prompt_set") != FOREIGN)
            if row := components_of_scores(scores.filter(in_grid)):
                components.append(names | row)
    return ComparisonTables(
        pl.DataFrame(selected, schema=SELECTED.columns),
        pl.concat(differences).cast(dict(DIFFERENCES.columns)),  # type: ignore[arg-type]
        pl.DataFrame(components, schema=VARIANCE_COMPONENTS.columns),
    )


def _of_sets(
    table: Table,
    model: str,
    extraction_sets: Sequence[str],
    name: str,
    rows: pl.Expr,
    columns: Sequence[str],
) -> pl.DataFrame:
    """These rows and columns of a model's tables of all sets, with `prompt_set`, `variant` (the
    column `name`) and `vector` (SET/VARIANT)."""
    tables = []
    for prompt_set in extraction_sets:
        variant = pl.col(name).cast(pl.String)
        tables.append(
            table.scan(model=model, prompt_set=prompt_set)
            .filter(rows)
            .select(*columns)
            .with_columns(
                prompt_set=pl.lit(prompt_set, pl.Categorical),
                variant=variant.cast(pl.Categorical),
                vector=pl.concat_str(pl.lit(f"{prompt_set}/"), variant).cast(pl.Categorical),
            )
            .collect()
        )
    return pl.concat(tables)


def _projection_cells(model: str, extraction_sets: Sequence[str]) -> pl.DataFrame:
    """Projections on all vectors that are no null models, all sources of a family pooled."""
    rows = ~pl.col("null") & (pl.col("source") == EVERY_SOURCE)
    rows &= pl.col("readout") == "projection"
    columns = ["vector", "extraction_layer", "layer", "position", "family", "split"]
    columns += [*SELECTED_FROM_CELLS, "sign_flip_statistic", "rank_statistic"]
    return _of_sets(CELLS, model, extraction_sets, "vector", rows, columns)


def _scores(model: str, extraction_sets: Sequence[str], family: str) -> pl.DataFrame:
    """The scores of a family's answers of `test`, read after the prompt."""
    rows = (pl.col("position") == "prompt") & (pl.col("split") == "test")
    rows &= pl.col("family") == family
    return _of_sets(SCORES, model, extraction_sets, "vector", rows, SCORE_COLUMNS)


def _selected_rows(
    model: str, extraction_sets: Sequence[str], cells: pl.DataFrame
) -> list[dict[str, object]]:
    """Rows of SELECTED. `p_all_cells`, `rank_correlation_p_all_cells`: over all cells of `test`,
    under random sign flips of the items. `p_shuffled_pairs`: how often the selection does as well
    with vectors of shuffled pairs; null where those of a set are not known."""
    maxima = largest_statistics(model, extraction_sets, "maximum")
    rank_maxima = largest_statistics(model, extraction_sets, "rank_maximum")
    shuffled = best_of_shuffled_pairs(
        pl.concat(
            SHUFFLED_PAIRS.read(model=model, prompt_set=name)
            for name in extraction_sets
            if name != FOREIGN
        )
    )
    all_shuffled = not any(keeps_statistics(ACTIVATIONS / model / name) for name in extraction_sets)
    own_layer = cells.filter(pl.col("extraction_layer") == pl.col("layer"))
    n_cells = int((cells["sign_flip_statistic"].is_not_nan() & cells["auroc"].is_not_nan()).sum())
    best = select_best(own_layer).filter(pl.col("position").is_in(list(POSITIONS)))
    rows = []
    for row in best.iter_rows(named=True):
        null = shuffled.filter(*(pl.col(key) == row[key] for key in TARGET))["auroc"].to_numpy()
        columns = ("family", "position", "vector", "layer", *SELECTED_FROM_CELLS)
        rank = row["rank_statistic"]
        rows.append(
            {"model": model}
            | {key: row[key] for key in columns}
            | {
                "n_cells": n_cells,
                "p_all_cells": float(p_values(np.array(row["sign_flip_statistic"]), maxima)),
                "rank_correlation_p_all_cells": (
                    None if rank is None else float(p_values(np.array(rank), rank_maxima))
                ),
            }
            | (_shuffled_columns(row["auroc"], null) if all_shuffled else NOT_SHUFFLED)
        )
    return rows


def _shuffled_columns(auroc: float, null: Floats) -> dict[str, float]:
    """The columns of SELECTED that compare an AUROC with those of shuffled pairs, `null`."""
    low, high = central_interval(null)
    return {
        "p_shuffled_pairs": permutation_p_value(auroc, null),
        "shuffled_low": float(low),
        "shuffled_high": float(high),
        "shuffled_significant_share": false_positive_rate(null),
    }
