"""Measures what vectors predict that are made of shuffled pairs: what chance can do.

    python stages/chance.py one_cause

Reads activations of `extractions` and of the `evaluation` set, its labels, and `variants` and
`selection` of params.yaml; writes reports/chance/MODEL/SET.parquet for each set: the AUROC, at each
layer and position, of mean differences whose pairs' answers were dealt anew, in as many studies as
`selection.studies` says, each with as many vectors as `variants` has that are no nulls. What was
measured before on the same states is taken from .work.
"""

from __future__ import annotations

from pathlib import Path

from lib.script.command import command

import numpy as np
import polars as pl
from tqdm import tqdm

from lib.files.activation_shards import read_ids, read_origin, stream_states
from lib.files.cell_files import CHANCE, EVERY_SOURCE, POSITIONS
from lib.files.label_files import read_labels
from lib.files.remembered import code, digest, place
from lib.predictivity.cells import READ, Cell, cells
from lib.predictivity.chance import aurocs, shuffled_differences
from lib.predictivity.selection import Selection
from lib.script.output import write_table
from lib.script.parameters import read_name, read_names, read_section
from lib.vectors.extraction import NULLS
from lib.vectors.recipes import read_recipes


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    studies = read_section(Selection, "selection").studies
    each = sum(recipe.method not in NULLS for recipe in read_recipes().values())
    on = Path(f"data/activations/{model}/{read_name('evaluation')}")
    labels = Path(f"data/labels/{model}/{on.name}.parquet")
    held = [
        cell
        for cell in cells(read_labels(labels, read_ids(on), READ))
        if cell.source == EVERY_SOURCE
    ]
    here = digest(
        [on, labels, *code("predictivity.cells", "predictivity.chance"), f"{studies} {each}"]
    )
    for prompt_set in read_names("extractions"):
        made_from = Path(f"data/activations/{model}/{prompt_set}")
        piece = place("chance", digest([here, made_from]))
        if not piece.exists():
            write_table(piece, measured(made_from, on, held, studies, each))
        write_table(CHANCE / model / f"{prompt_set}.parquet", pl.read_parquet(piece))
    print(f"{model}: {studies} studies of {each} vectors from shuffled pairs of each set")


def measured(made_from: Path, on: Path, held: list[Cell], studies: int, each: int) -> pl.DataFrame:
    """A row a layer, position, cell, study and vector."""
    tables = []
    layers = range(read_origin(on).layers)
    for layer in tqdm(layers, unit="layer", disable=None, desc=made_from.name):
        matching, other = (
            stream_states(made_from, layer, position) for position in ("matching", "not_matching")
        )
        vectors = shuffled_differences(matching.minus(other), studies * each)
        for position in POSITIONS:
            states = stream_states(on, layer, position)
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
