"""Measures what vectors predict that are made of a set's pairs, shuffled: what chance can do.

    python stages/chance.py one_cause opinion_pairs

Reads activations and labels of the set and of the `evaluation` set, and `variants` and `selection`
of params.yaml; writes reports/chance/MODEL/SET.parquet: the AUROC, at each layer and position, of
mean differences whose pairs' answers were dealt anew, in as many studies as `selection.studies`
says, each with as many vectors as `variants` has that are no nulls.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from lib.activation_shards import read_origin, read_states
from lib.cell_files import EVERY_SOURCE
from lib.chance import aurocs, shuffled_differences
from lib.command import command
from lib.evaluation import cells
from lib.extraction import NULLS
from lib.label_files import read_labels
from lib.output import whole
from lib.parameters import read_name, read_section
from lib.predictivity_table import READ_AT
from lib.recipes import read_recipes
from lib.selection import Selection


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="the prompt set that real vectors are made from",
)
def main(model: str, prompt_set: str) -> None:
    studies = read_section(Selection, "selection").studies
    each = sum(recipe.method not in NULLS for recipe in read_recipes().values())
    made_from = Path(f"data/activations/{model}/{prompt_set}")
    on = Path(f"data/activations/{model}/{read_name('evaluation')}")
    labels = Path(f"data/labels/{model}/{on.name}.parquet")
    held = [
        cell
        for cell in cells(read_labels(labels, read_states(on, 0, "prompt").ids))
        if cell.source == EVERY_SOURCE
    ]
    tables = []
    for layer in tqdm(range(read_origin(on).layers), unit="layer", disable=None, desc="chance"):
        matching, other = (
            read_states(made_from, layer, position).values.astype(float)
            for position in ("matching", "not_matching")
        )
        vectors = shuffled_differences(matching - other, studies * each)
        for position in READ_AT:
            states = read_states(on, layer, position).values.astype(float)
            for cell, found in zip(held, aurocs(vectors, states, held), strict=True):
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
    target = Path(f"reports/chance/{model}/{prompt_set}.parquet")
    with whole(target) as draft:
        pl.concat(tables).write_parquet(draft)
    print(f"{target}: {studies} studies of {each} vectors from shuffled pairs")


if __name__ == "__main__":
    main()
