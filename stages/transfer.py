"""Measures where vectors carry over, and whether the angle between two vectors tells.

    python stages/transfer.py one_cause

Reads vectors/MODEL, activations and labels of the `evaluation_set`, and the prompts of
`extraction_sets` of params.yaml; writes reports/transfer/MODEL.csv (a row a layer, method, set and
family, or source of a family that has several, read after the prompt on `test`) and
reports/transfer/MODEL.json (how well cosines foretell the AUROC).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cells import READ, cells
from sycophancy_steering.analysis.transfer import (
    auroc_cosine_correlation,
    own_sets,
    transfer_at_layer,
)
from sycophancy_steering.config.reading import read_name, read_names
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.storage.activation_shards import read_ids, read_origin, stream_activations
from sycophancy_steering.storage.label_files import read_labels
from sycophancy_steering.storage.vector_files import read_vectors, vector_paths


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    sets, on = read_names("extraction_sets"), read_name("evaluation_set")
    kinds = {
        name: set(
            pl.read_parquet(f"data/prompts/{name}.parquet", columns=["family", "source"]).rows()
        )
        for name in sets
    }
    vectors: dict[tuple[str, str], Floats] = {}
    for name in sets:
        for path in vector_paths(Path(f"vectors/{model}/{name}")):
            found, about = read_vectors(path)
            if not about.get("null"):
                vectors[name, path.stem] = found.astype(np.float64)
    activations = Path(f"data/activations/{model}/{on}")
    labels = Path(f"data/labels/{model}/{on}.parquet")
    held = cells(read_labels(labels, read_ids(activations), READ))
    test, select = (
        {(cell.family, cell.source): cell for cell in held if cell.split == split}
        for split in ("test", "select")
    )
    tables = []
    for layer in range(read_origin(activations).n_layers):
        states = stream_activations(activations, layer, "prompt")
        # Angles know nothing of the answers that they are to foretell.
        metrics = {
            kind: states.select_rows(cell.rows).covariance
            for kind, cell in select.items()
            if kind in test
        }
        known = {kind: cell for kind, cell in test.items() if kind in metrics}
        at = {key: each[layer] for key, each in vectors.items()}
        table = transfer_at_layer(at, own_sets(kinds), known, states, metrics)
        tables.append(table.with_columns(pl.lit(layer).alias("layer")))
    table = pl.concat(tables)
    with atomic_write(Path(f"reports/transfer/{model}.csv")) as draft:
        table.write_csv(draft, float_precision=5)
    told: dict[str, object] = {"cells": len(table)}
    for by in ("cosine", "mahalanobis") if len(table) else ():
        told |= {
            name: round(value, 5) for name, value in auroc_cosine_correlation(table, by).items()
        }
    write_json(Path(f"reports/transfer/{model}.json"), told)
    print(f"{model}:", *(f"{key} {value}" for key, value in told.items()), sep="\n  ")


if __name__ == "__main__":
    main()
