"""The layer that each vector is read at, selected on `select`; what its numbers generalise to."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

OWN_LAYER = pl.col("extraction_layer") == pl.col("layer")
"""The vector is read at the layer that it was made from."""


def select_layers(cells: pl.DataFrame, families: list[str]) -> pl.DataFrame:
    """For each `vector` and `position`, the `layer` with the highest AUROC on `select`.

    Never on `test`, and only where the projection is read at the layer that the vector was made
    from. The AUROC is the mean over `families`, those that the vectors were made from, as labels of
    other families would not be at hand; over all families where the evaluation has none of these.
    The first of equals.
    """
    on_select = (pl.col("split") == "select") & (pl.col("source") == EVERY_SOURCE) & OWN_LAYER
    candidates = cells.filter(
        on_select & (pl.col("readout") == "projection") & pl.col("auroc").is_not_nan()
    )
    own = candidates.filter(pl.col("family").is_in(families))
    means = (
        (own if len(own) else candidates)
        .group_by("vector", "position", "layer")
        .agg(pl.col("auroc").mean())
    )
    keys = ["vector", "position"]
    best = means.sort(*keys, "auroc", "layer", descending=[False, False, True, False])
    return best.unique(keys, keep="first", maintain_order=True).drop("auroc")


def mark_selected(cells: pl.DataFrame, selected_layers: pl.DataFrame) -> pl.DataFrame:
    """`cells` with a column `selected`: read at, and made from, its layer of `select_layers`."""
    marked = selected_layers.with_columns(pl.lit(True).alias("selected"))
    keys = ["vector", "position", "layer"]
    return cells.join(marked, on=keys, how="left", maintain_order="left").with_columns(
        pl.col("selected").fill_null(False) & OWN_LAYER
    )


def generalisation(extraction: pl.DataFrame, evaluation: pl.DataFrame) -> dict[str, str]:
    """Family -> what its numbers generalise to, from new personas to another family.

    Both tables have `id`, `source`, `family`, `item` and `persona`, a row a question. Raises
    InputError where a question, or an item with its persona, is in both.
    """
    keys = ["item", "persona"]  # whatever the source: one file can be two sources
    shared = extraction.join(evaluation, on="id", how="semi")
    shared = shared if len(shared) else extraction.join(evaluation, on=keys, how="semi")
    if len(shared):
        row = shared.row(0, named=True)
        raise InputError(
            f"extraction and evaluation share {len(shared)} questions, such as {row['id']} "
            f"({row['source']}: {row['item']}, {row['persona'] or 'no persona'}); expected none: "
            "give the two prompt sets different splits in params.yaml"
        )
    kinds = {}
    questions = evaluation.select("family", "source", "item").unique(maintain_order=True)
    for (family,), of_family in questions.group_by("family", maintain_order=True):
        if family not in extraction["family"]:
            kinds[str(family)] = "another family"
        elif not set(of_family["source"]) & set(extraction["source"]):
            kinds[str(family)] = "another source"
        elif not set(of_family["item"]) & set(extraction["item"]):
            kinds[str(family)] = "new items"
        else:
            kinds[str(family)] = "same items, new personas"
    return kinds
