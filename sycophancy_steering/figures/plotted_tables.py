"""Writes the captions, and the tables that `dvc plots` draws with the templates of .dvc/plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from sycophancy_steering.config.suite import Suite
from sycophancy_steering.figures.predictivity import drawn_vectors
from sycophancy_steering.figures.subject import subject_of
from sycophancy_steering.schemas.figures import (
    CAPTIONS,
    PLOTTED_ATLAS,
    PLOTTED_LAYERS,
    VECTOR_CELL,
)
from sycophancy_steering.storage.cell_files import evaluated_sets, pooled_over_sources, read_cells


def write_plotted_tables(captions: Sequence[pl.DataFrame], suites: Mapping[str, Suite]) -> None:
    """Writes all tables of schemas/figures.py; `suites` are those of the models."""
    atlas, layers = [], []
    for model, suite in suites.items():
        sets = evaluated_sets(model, suite.extraction_sets)
        cells = pooled_over_sources(read_cells(model, sets)).with_columns(
            (pl.col("vector") == suite.headline).alias("headline"),
            pl.col("layer").cast(pl.Int32),
        )
        atlas.append(cells.filter("selected").select(list(VECTOR_CELL)))
        of_set = cells.filter(pl.col("prompt_set") == suite.headline_set)
        shown = drawn_vectors(of_set, suite.headline)
        families = subject_of(model, suite.headline, of_set).drawn(of_set["family"])
        lines = of_set.filter(pl.col("vector").is_in(shown), pl.col("family").is_in(families))
        layers.append(lines.select(list(VECTOR_CELL)))
    CAPTIONS.write(pl.concat(captions))
    PLOTTED_ATLAS.write(pl.concat(atlas))
    PLOTTED_LAYERS.write(pl.concat(layers))
