"""Measures how far mean differences agree, what makes them differ, and how many pairs settle them.

    python stages/consistency.py one_cause

Reads activations, labels and prompts of the `extraction_sets` of params.yaml; writes, a row a layer and
each: reports/consistency/MODEL.agreement.csv (two sets or positions: their cosine, and the same
without noise), MODEL.variance.csv (what a vector's variance comes from) and MODEL.reliability.csv
(the cosine of two vectors of so many pairs); and in MODEL.json the variances at the layer that was
chosen for the `headline`, and how far "about to" agrees with "just did" where it does most surely.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.anticipation import anticipation_against_record, most_certain_row
from sycophancy_steering.analysis.consistency import (
    agreement_table,
    mean_differences,
    reliability_table,
    variance_table,
)
from sycophancy_steering.analysis.cross_item_products import group_items, noise_free_cosines
from sycophancy_steering.config.predictivity import SampleEfficiencySettings
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.atomic_files import atomic_write, write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.storage.cell_files import selected_layer
from sycophancy_steering.vectors.labelled_activations import read_labelled_activations


@command(__doc__, model="an entry of model in params.yaml")
def main(model: str) -> None:
    headline = read_name("headline")
    pairs = read_section(SampleEfficiencySettings, "sample_efficiency").pairs
    material = {
        name: read_labelled_activations(
            Path(f"data/activations/{model}/{name}"),
            Path(f"data/labels/{model}/{name}.parquet"),
            Path(f"data/prompts/{name}.parquet"),
        )
        for name in read_names("extraction_sets")
    }
    study = group_items(
        {
            str(item): str(family)
            for given in material.values()
            for item, family in zip(given.items, given.families, strict=True)
        }
    )
    tables: dict[str, list[pl.DataFrame]] = {"agreement": [], "variance": [], "reliability": []}
    layers = range(next(iter(material.values())).origin.n_layers)
    left_out: dict[str, str] = {}
    for layer in tqdm(layers, unit="layer", disable=None, desc="consistency"):
        made, left_out = mean_differences(material, layer, study)
        found, least = noise_free_cosines([each.direction for each in made], study)
        at = {
            "agreement": agreement_table(made, found, least, len(study.groups)),
            "variance": variance_table(made, found, least, study),
            "reliability": pl.concat(
                reliability_table(given, layer, pairs).select(
                    pl.lit(name).alias("prompt_set"), pl.all()
                )
                for name, given in material.items()
            ),
        }
        for name, table in at.items():
            tables[name].append(table.select(pl.lit(layer).alias("layer"), pl.all()))
    joined = {name: pl.concat(each) for name, each in tables.items()}
    for name, table in joined.items():
        with atomic_write(Path(f"reports/consistency/{model}.{name}.csv")) as draft:
            table.write_csv(draft, float_precision=5)
    layer = selected_layer(model, headline)
    told = metrics(joined, layer)
    write_json(Path(f"reports/consistency/{model}.json"), told)
    print(
        f"{model}, layer {layer}:", *(f"{key} {value}" for key, value in told.items()), sep="\n  "
    )
    for name, reason in left_out.items():
        print(f"  {name} left out: {reason}")


def metrics(tables: dict[str, pl.DataFrame], layer: int) -> dict[str, object]:
    """A few flat keys, of one layer."""
    told: dict[str, object] = {"layer": layer}
    variance = tables["variance"].filter(pl.col("layer") == layer, pl.col("compared") > 0)
    for row in variance.iter_rows(named=True):
        name = "_".join([row["prompt_set"] or "all", *row["source"].split()])
        ends = {"": "variance", "_low": "low", "_high": "high"}
        told |= {f"{name}_variance{end}": round(row[key], 5) for end, key in ends.items()}
    tenses = anticipation_against_record(tables["agreement"])
    within = tenses.filter(pl.col("family") == pl.col("other_family"))
    for (family,), held in within.group_by("family", maintain_order=True):
        row = most_certain_row(held)
        if row["low"] is None:
            continue
        ends = {"": "agreement", "_low": "low", "_high": "high", "_layer": "layer"}
        told |= {
            f"{family}_about_to_just_did{end}": round(row[key], 5) for end, key in ends.items()
        }
    return told


if __name__ == "__main__":
    main()
