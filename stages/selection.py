"""Chooses the best way of predicting on `select`, reports it on `test`, and compares ways.

    python stages/selection.py

Reads, for each of `models` in params.yaml, reports/cells, reports/flips, reports/scores and
reports/chance; writes reports/selection.json (what was chosen for each family, with p-values),
reports/comparisons.csv (the headline vector against every other) and reports/variation.csv (how
much the AUROC varies between prompt sets and between methods).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.analysis.selection import (
    TARGET,
    best_of_shuffled_pairs,
    false_positive_rate,
    permutation_p_value,
    select_best,
)
from sycophancy_steering.analysis.variance_components import components_of_scores
from sycophancy_steering.config.reading import read_name, read_names
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.statistics.auroc_difference import auroc_differences_from
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.statistics.sign_flips import p_values
from sycophancy_steering.storage.cell_files import CELLS, CHANCE, EVERY_SOURCE, FLIPS, SCORES

READ = ["name", "id", "family", "item", "label", "projection"]
"""Of each answer's score."""
SAID = {"prompt": "", "continuation": "_after"}
"""What is added to a family's name in the metrics, by where states are read."""


@command(__doc__)
def main() -> None:
    sets, headline = read_names("extraction_sets"), read_name("headline")
    selected: dict[str, object] = {}
    comparisons, varied = [], []
    for model in read_names("models"):
        cells = of_sets(CELLS / model, sets).filter(
            ~pl.col("null")
            & (pl.col("source") == EVERY_SOURCE)
            & (pl.col("readout") == "projection")
        )
        flips = of_sets(FLIPS / model, sets).filter(~pl.col("null"))
        largest = flips.group_by("deal").agg(pl.col("largest").max())["largest"].to_numpy()
        chance = best_of_shuffled_pairs(of_sets(CHANCE / model, sets))
        own = cells.filter(pl.col("extraction_layer") == pl.col("layer"))
        selected[model] = metrics(select_best(own), chance, largest, len(cells))
        real = cells["vector"].unique().to_list()
        for family in cells["family"].unique(maintain_order=True):
            before = (pl.col("position") == "prompt") & (pl.col("split") == "test")
            scores = of_sets(SCORES / model, sets, before & (pl.col("family") == family), READ)
            if headline not in scores["vector"]:
                raise InputError(f"params.yaml: headline: no vector {headline} of {model}")
            of = {"model": model, "family": family}
            found = auroc_differences_from(scores, headline)
            comparisons.append(found.select(*(pl.lit(v).alias(k) for k, v in of.items()), "*"))
            if moved := components_of_scores(scores.filter(pl.col("vector").is_in(real))):
                varied.append(of | moved)
    write_json(Path("reports/selection.json"), selected)
    variations = pl.DataFrame(varied, None if varied else ["model", "family"])
    for name, table in (("comparisons", pl.concat(comparisons)), ("variation", variations)):
        with atomic_write(Path(f"reports/{name}.csv")) as draft:
            table.write_csv(draft, float_precision=5)
    print(json.dumps(selected, indent=2))


def of_sets(
    folder: Path,
    sets: list[str],
    rows: pl.Expr | bool = True,
    columns: Sequence[str] = ("*",),
) -> pl.DataFrame:
    """The tables of a model's extraction sets, with `vector` (SET/VARIANT where vectors differ)."""
    tables = []
    for name in sets:
        path = folder / f"{name}.parquet"
        if not path.exists():
            raise InputError(f"{path}: not found; run `dvc repro` or `dvc pull`")
        variant = pl.col("name" if folder.parent != CHANCE else "vector").cast(pl.String)
        tables.append(
            pl.scan_parquet(path)
            .filter(rows)
            .select(*columns)
            .with_columns(
                prompt_set=pl.lit(name, pl.Categorical),
                vector=pl.concat_str(pl.lit(f"{name}/"), variant).cast(pl.Categorical),
            )
            .collect()
        )
    return pl.concat(tables)


def metrics(
    chosen: pl.DataFrame, chance: pl.DataFrame, largest: Floats, tried: int
) -> dict[str, object]:
    """What was chosen for each family, on `test`, and how often chance does as well.

    `p_all_cells`: among all cells tried, with the items' signs dealt anew. `p_shuffled_pairs`: the
    whole choice again with vectors from shuffled pairs, whose AUROC is between `chance_low` and
    `chance_high` 95% of the time; `shuffled_pairs_selected` is the share of those that would
    themselves be found at p < 0.05.
    """
    found: dict[str, object] = {"cells_tried": tried}
    for row in chosen.filter(pl.col("position").is_in(list(SAID))).iter_rows(named=True):
        same = (pl.col(key) == row[key] for key in TARGET)
        areas = chance.filter(*same)["auroc"].to_numpy()
        low, high = central_interval(areas)
        name = f"{row['family']}{SAID[row['position']]}"
        found |= {
            f"{name}_chosen": f"{row['vector']}, layer {row['layer']}",
            f"{name}_auroc": round(row["auroc"], 5),
            f"{name}_low": round(row["auroc_low"], 5),
            f"{name}_high": round(row["auroc_high"], 5),
            f"{name}_p_all_cells": round(float(p_values(np.array(row["flip"]), largest)), 5),
            f"{name}_p_shuffled_pairs": round(permutation_p_value(row["auroc"], areas), 5),
            f"{name}_chance_low": round(float(low), 5),
            f"{name}_chance_high": round(float(high), 5),
            f"{name}_shuffled_pairs_selected": round(false_positive_rate(areas), 5),
        }
    return found


if __name__ == "__main__":
    main()
