"""Draws what was found on a model: by layer, vector beside vector, answers against the cosine.

    python stages/pictures.py one_cause

Reads reports/cells/MODEL and reports/scores/MODEL; shows the vectors made from the set of the
`headline` vector of params.yaml; writes reports/plots/MODEL_layers.png, MODEL_variants.png,
MODEL_cosine.png and, from reports/transfer and reports/efficiency, MODEL_transfer.png and
MODEL_efficiency.png.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from lib.cell_files import POSITIONS, SCORES, names, read_cells
from lib.command import command
from lib.output import whole
from lib.parameters import read_name
from lib.plots import (
    auroc_by_layer,
    auroc_by_pairs,
    label_against_cosine,
    save,
    transfer_matrix,
    variants_side_by_side,
)
from lib.refusal import Refusal


@command(
    __doc__,
    model="an entry of model in params.yaml",
)
def main(model: str) -> None:
    headline = read_name("headline")
    prompt_set, _, variant = headline.partition("/")
    cells = read_cells(model, [prompt_set])
    scores = pl.read_parquet(SCORES / model / f"{prompt_set}.parquet").filter(
        pl.col("name") == variant,
        pl.col("split") == "test",
        pl.col("position").is_in(list(POSITIONS)),
    )
    if not len(scores):
        raise Refusal(
            f"params.yaml: headline: no vector {headline} of {model}; expected SET/VARIANT, one of "
            f"{', '.join(names(cells))}"
        )
    layers = dict(zip(scores["position"], scores["layer"], strict=True))
    layer = layers.get("prompt", 0)
    pictures = {
        "layers": auroc_by_layer(cells, f"{model}: where it can be read"),
        "variants": variants_side_by_side(cells, f"{model}: by how the vector was made"),
        "efficiency": auroc_by_pairs(
            pl.read_csv(f"reports/efficiency/{model}.csv"),
            f"{model}: how many pairs of {prompt_set} it takes, layer {layer}, test split",
        ),
        "transfer": transfer_matrix(
            pl.read_csv(f"reports/transfer/{model}.csv").filter(
                pl.col("method") == variant, pl.col("layer") == layer
            ),
            f"{model}: where {variant} carries over, layer {layer}, test split",
        ),
        "cosine": label_against_cosine(scores, f"{model}: answers against {headline}, test split"),
    }
    for name, picture in pictures.items():
        with whole(Path(f"reports/plots/{model}_{name}.png")) as draft:
            save(picture, draft)


if __name__ == "__main__":
    main()
