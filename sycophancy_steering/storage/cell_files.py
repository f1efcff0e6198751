"""`reports/cells/MODEL/SET.parquet`: what was measured of every vector made from a set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from sycophancy_steering.foundation.errors import InputError

EVERY_SOURCE = "all"
"""The `source` of a cell that pools all sources of its family."""
CELLS, SCORES = Path("reports/cells"), Path("reports/scores")
FLIPS, CHANCE = Path("reports/flips"), Path("reports/chance")
POSITIONS = {"prompt": "after the prompt", "continuation": "after its own answer"}
"""Where states are read for the tables and pictures of the summary, in words."""


def of_another(owner: str, prompt_set: str) -> str:
    """The name under which the vectors that `owner` made from a set stand in another model."""
    return f"of-{owner}-{prompt_set}"


def read_cells(model: str, sets: Sequence[str]) -> pl.DataFrame:
    """The cells of tables and curves: projections on `test`, read where the vector was made.

    `name` is SET/VARIANT.
    """
    tables = []
    for name in sets:
        path = CELLS / model / f"{name}.parquet"
        if not path.exists():
            raise InputError(
                f"{path}: not found; run `dvc repro predictivity across` or `dvc pull`"
            )
        shown = (
            (pl.col("split") == "test")
            & (pl.col("readout") == "projection")
            & (pl.col("layer") == pl.col("extraction_layer"))
            & pl.col("position").is_in(list(POSITIONS))
        )
        table = pl.scan_parquet(path).filter(shown).collect()
        tables.append(table.with_columns(pl.concat_str(pl.lit(f"{name}/"), "name").alias("name")))
    return pl.concat(tables)


def pooled(cells: pl.DataFrame) -> pl.DataFrame:
    """Those cells that pool all sources of their family."""
    return cells.filter(pl.col("source") == EVERY_SOURCE)


def kind() -> pl.Expr:
    """What questions are of, in words: their family, and the source where it is not all of it."""
    whole = pl.col("source") == EVERY_SOURCE
    named = pl.concat_str("family", pl.lit(": "), "source")
    return pl.when(whole).then("family").otherwise(named).alias("kind")


def names(cells: pl.DataFrame) -> list[str]:
    """The vectors of a table in its order, the nulls last."""
    vectors = cells.select("name", "null").unique(maintain_order=True)
    return vectors.sort("null", maintain_order=True)["name"].to_list()


def nulls(cells: pl.DataFrame) -> set[str]:
    """The vectors of a table that know nothing of sycophancy."""
    return set(cells.filter("null")["name"])


def shown_name(cells: pl.DataFrame, name: str) -> str:
    """The name of a vector, without its prompt set where all are this model's and from one."""
    sets = {each.partition("/")[0] for each in cells["name"].unique()}
    return name if len(sets) > 1 or name.startswith("of-") else name.partition("/")[2]


def chosen_layers(model: str, prompt_set: str) -> dict[str, int]:
    """For each vector made from a set, by its name, the layer that was chosen on `select`, read
    after the prompt."""
    fit = (pl.col("position") == "prompt") & pl.col("chosen")
    found = read_cells(model, [prompt_set]).filter(fit).unique("name", maintain_order=True)
    return {
        name.partition("/")[2]: layer for name, layer in found.select("name", "layer").iter_rows()
    }


def chosen_layer(model: str, vector: str) -> int:
    """The layer that was chosen on `select` for a vector (SET/VARIANT), read after the prompt."""
    prompt_set, _, variant = vector.partition("/")
    layers = chosen_layers(model, prompt_set)
    if variant not in layers:
        raise InputError(f"params.yaml: headline: no layer was chosen for {vector} of {model}")
    return layers[variant]
