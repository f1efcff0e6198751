"""Reads evaluation cells, and the words and layers that tables and figures take from them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sycophancy_steering.config.foreign_vectors import FOREIGN
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.predictivity import CELLS, CROSS_MODEL_CELLS

EVERY_SOURCE = "all"
"""The `source` of a cell that pools all sources of its family."""
POSITIONS = {"prompt": "after the prompt", "continuation": "after its own answer"}
"""Where activations are read in the tables and figures of the summary, in words."""
LEAST_ITEMS = 5
"""With fewer items of the rarer kind of answer, intervals say little and may not hold."""
SUMMARISED = (
    (pl.col("split") == "test")
    & (pl.col("readout") == "projection")
    & (pl.col("layer") == pl.col("extraction_layer"))
    & pl.col("position").is_in(list(POSITIONS))
)
"""The cells of tables and figures: projections on `test`, read at the layer a vector is from."""


def evaluated_sets(model: str, extraction_sets: Sequence[str]) -> list[str]:
    """The sets whose vectors were evaluated: the extraction sets, and that of vectors from
    elsewhere where there is one."""
    evaluated = CELLS.path(model=model, prompt_set=FOREIGN).exists()
    return [*extraction_sets, *([FOREIGN] if evaluated else [])]


def read_cells(model: str, sets: Sequence[str]) -> pl.DataFrame:
    """The `SUMMARISED` cells of a model's vectors; `vector` is SET/VARIANT.

    Raises InputError where a table is missing.
    """
    tables = [
        _prefixed(CELLS.scan(model=model, prompt_set=name).filter(SUMMARISED).collect(), name)
        for name in sets
    ]
    return pl.concat(tables)


def read_cross_model_cells(
    model: str, vectors_from: Sequence[str], prompt_set: str
) -> pl.DataFrame:
    """The `SUMMARISED` cells of other models' vectors in `model`; `vector` is of-OWNER-SET/VARIANT.

    Raises InputError where a table is missing.
    """
    tables = []
    for owner in vectors_from:
        names = {"model": model, "vectors_from": owner, "prompt_set": prompt_set}
        cells = CROSS_MODEL_CELLS.scan(**names).filter(SUMMARISED).collect()
        tables.append(_prefixed(cells, f"of-{owner}-{prompt_set}"))
    return pl.concat(tables)


def _prefixed(cells: pl.DataFrame, prompt_set: str) -> pl.DataFrame:
    return cells.with_columns(pl.concat_str(pl.lit(f"{prompt_set}/"), "vector").alias("vector"))


def pooled_over_sources(cells: pl.DataFrame) -> pl.DataFrame:
    """Those cells that pool all sources of their family."""
    return cells.filter(pl.col("source") == EVERY_SOURCE)


def families_with_few_items(cells: pl.DataFrame) -> set[str]:
    """Families in which fewer than LEAST_ITEMS items have the rarer kind of answer."""
    few = pl.col("n_items_rarer_class") < LEAST_ITEMS
    return {*pooled_over_sources(cells).filter(few)["family"]}


def family_and_source() -> pl.Expr:
    """A column `kind` of words: the family, and the source unless all are pooled."""
    pooled = pl.col("source") == EVERY_SOURCE
    named = pl.concat_str("family", pl.lit(": "), "source")
    return pl.when(pooled).then("family").otherwise(named).alias("kind")


def vector_names(cells: pl.DataFrame) -> list[str]:
    """The vectors of a table in its order, null models last."""
    vectors = cells.select("vector", "null").unique(maintain_order=True)
    return vectors.sort("null", maintain_order=True)["vector"].to_list()


def null_vectors(cells: pl.DataFrame) -> set[str]:
    """The vectors of a table that are null models."""
    return set(cells.filter("null")["vector"])


def short_name(cells: pl.DataFrame, vector: str) -> str:
    """The name of a vector, without its prompt set where all are this model's and from one set."""
    sets = {name.partition("/")[0] for name in cells["vector"].unique()}
    return vector if len(sets) > 1 or vector.startswith("of-") else vector.partition("/")[2]


def selected_layers(model: str, prompt_set: str) -> dict[str, int]:
    """By variant, the layer that was selected for the vectors of a set, read after the prompt."""
    after_prompt = (pl.col("position") == "prompt") & pl.col("selected")
    cells = read_cells(model, [prompt_set]).filter(after_prompt)
    rows = cells.unique("vector", maintain_order=True).select("vector", "layer").iter_rows()
    return {vector.partition("/")[2]: layer for vector, layer in rows}


def selected_layer(model: str, vector: str) -> int:
    """The layer that was selected for a vector (SET/VARIANT), read after the prompt.

    Raises InputError where none was.
    """
    prompt_set, _, variant = vector.partition("/")
    layers = selected_layers(model, prompt_set)
    if variant not in layers:
        raise InputError(f"params.yaml: headline: no layer was selected for {vector} of {model}")
    return layers[variant]


def intervention_layer(model: str, suite: Suite, vector: str) -> int:
    """The layer that a vector (SET/VARIANT) is added and removed at: the suite's, or else the one
    that was selected for it. Raises InputError where none was."""
    if suite.intervention_layer is not None:
        return suite.intervention_layer
    return selected_layer(model, vector)
