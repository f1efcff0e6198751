"""Measures how many pairs each method needs, with the two answers of a question paired and not.

    python stages/efficiency.py one_cause

Reads activations and labels of the `headline` vector's set and of the `evaluation_set`, `variants`
and `sample_efficiency` of params.yaml, and from reports/cells/MODEL the layer that was chosen for the
headline; writes reports/efficiency/MODEL.csv: AUROC on `test`, after the prompt, over many draws of
so many pairs.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.analysis.cells import READ, cells
from sycophancy_steering.analysis.sample_efficiency import learning_curves, sampled_aurocs
from sycophancy_steering.config.predictivity import SampleEfficiencySettings
from sycophancy_steering.config.reading import read_name, read_section
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.storage.activation_shards import read_ids, stream_activations
from sycophancy_steering.storage.cell_files import EVERY_SOURCE, selected_layer
from sycophancy_steering.storage.label_files import read_labels
from sycophancy_steering.vectors.labelled_activations import read_labelled_activations
from sycophancy_steering.vectors.methods import NULLS
from sycophancy_steering.vectors.variants import read_variants


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    settings = read_section(SampleEfficiencySettings, "sample_efficiency")
    headline, on = read_name("headline"), read_name("evaluation_set")
    prompt_set = headline.partition("/")[0]
    recipes = read_variants().values()
    methods = dict.fromkeys(
        recipe.method
        for recipe in recipes
        if recipe.position == "answer" and recipe.method not in NULLS - {"shuffled"}
    )
    given = read_labelled_activations(
        Path(f"data/activations/{model}/{prompt_set}"),
        Path(f"data/labels/{model}/{prompt_set}.parquet"),
        Path(f"data/prompts/{prompt_set}.parquet"),
    )
    activations = Path(f"data/activations/{model}/{on}")
    labels = Path(f"data/labels/{model}/{on}.parquet")
    responses = read_labels(labels, read_ids(activations), READ)
    held = {
        cell.family: cell
        for cell in cells(responses)
        if cell.split == "test" and cell.source == EVERY_SOURCE and len(set(cell.labels)) == 2
    }
    layer = selected_layer(model, headline)
    states = stream_activations(activations, layer, "prompt")
    found = learning_curves(sampled_aurocs(given, list(methods), layer, settings, held, states))
    target = Path(f"reports/efficiency/{model}.csv")
    with atomic_write(target) as draft:
        found.with_columns(pl.lit(layer).alias("layer")).write_csv(draft, float_precision=5)
    print(f"{target}: {len(methods)} methods from {min(settings.pairs)} pairs on, layer {layer}")


if __name__ == "__main__":
    main()
