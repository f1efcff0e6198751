"""Measures what vectors predict that are made of shuffled pairs: what chance can do.

    python stages/chance.py one_cause

Reads activations of `extraction_sets` and of the `evaluation_set`, its labels, and `variants` and
`selection` of params.yaml; writes reports/chance/MODEL/SET.parquet for each set: the AUROC, at each
layer and position, of mean differences whose pairs' answers were dealt anew, in as many studies as
`selection.n_shuffles` says, each with as many vectors as `variants` has that are no nulls. What was
measured before on the same states is taken from .work.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.cells import READ, Cell, cells
from sycophancy_steering.analysis.permuted_vectors import aurocs, shuffled_differences
from sycophancy_steering.config.predictivity import SelectionSettings
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.storage.activation_shards import read_ids, read_origin, stream_activations
from sycophancy_steering.storage.cell_files import CHANCE, EVERY_SOURCE, POSITIONS
from sycophancy_steering.storage.label_files import read_labels
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest
from sycophancy_steering.vectors.methods import NULLS
from sycophancy_steering.vectors.variants import read_variants


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    studies = read_section(SelectionSettings, "selection").studies
    each = sum(recipe.method not in NULLS for recipe in read_variants().values())
    on = Path(f"data/activations/{model}/{read_name("evaluation_set")}")
    labels = Path(f"data/labels/{model}/{on.name}.parquet")
    held = [
        cell
        for cell in cells(read_labels(labels, read_ids(on), READ))
        if cell.source == EVERY_SOURCE
    ]
    here = digest(
        [
            on,
            labels,
            *code_and_libraries("analysis.cells", "analysis.permuted_vectors"),
            f"{studies} {each}",
        ]
    )
    for prompt_set in read_names("extraction_sets"):
        made_from = Path(f"data/activations/{model}/{prompt_set}")
        piece = cache_path("chance", digest([here, made_from]))
        if not piece.exists():
            write_table(piece, measured(made_from, on, held, studies, each))
        write_table(CHANCE / model / f"{prompt_set}.parquet", pl.read_parquet(piece))
    print(f"{model}: {studies} studies of {each} vectors from shuffled pairs of each set")


def measured(made_from: Path, on: Path, held: list[Cell], studies: int, each: int) -> pl.DataFrame:
    """A row a layer, position, cell, study and vector."""
    tables = []
    layers = range(read_origin(on).n_layers)
    for layer in tqdm(layers, unit="layer", disable=None, desc=made_from.name):
        matching, other = (
            stream_activations(made_from, layer, position)
            for position in ("matching", "not_matching")
        )
        vectors = shuffled_differences(matching.subtract(other), studies * each)
        for position in POSITIONS:
            states = stream_activations(on, layer, position)
            areas = aurocs(vectors, states, [cell.labelled for cell in held])
            for cell, found in zip(held, areas, strict=True):
                tables.append(
                    pl.DataFrame(
                        {"study": np.repeat(np.arange(studies), each), "auroc": found}
                    ).with_columns(
                        pl.lit(layer).alias("layer"),
                        pl.lit(position).alias("position"),
                        pl.lit(cell.family).alias("family"),
                        pl.lit(cell.split).alias("split"),
                        pl.int_range(pl.len()).mod(each).alias("vector"),
                    )
                )
    return pl.concat(tables)


if __name__ == "__main__":
    main()
