"""Writes reports/summary.md: what was found, in words and tables, with nulls beside every number.

    python stages/report.py

Reads reports/cells, selection.json, variation.csv, gain, efficiency, transfer, consistency, tokens
and interventions, label_tables, variants.json of the vectors and, where
`controls` of params.yaml names a set, reports/controls.json; writes reports/summary.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from sycophancy_steering.analysis.anticipation import (
    anticipation_against_record,
    anticipation_and_record_aurocs,
    own_sets_of_families,
)
from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.params import CrossModelPair
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.report.predictivity_sections import (
    efficiency_section,
    gain_section,
    left_out_section,
    selection_section,
    transfer_section,
    variation_section,
)
from sycophancy_steering.report.steering_sections import (
    afterwards_section,
    causes_section,
    costs_section,
    prompting_section,
    steering_section,
    texts_section,
)
from sycophancy_steering.report.summary import (
    across_section,
    controls_section,
    labels_section,
    model_section,
)
from sycophancy_steering.report.vector_sections import (
    reliability_section,
    tenses_section,
    tokens_section,
    variance_section,
)
from sycophancy_steering.storage.cell_files import foreign_set, read_cells
from sycophancy_steering.storage.vector_files import read_variant_index

TABLES = ("explained", "ways")


@command(__doc__)
def main() -> None:
    headline, evaluation = read_name("headline"), read_name("evaluation_set")
    prompt_set = headline.partition("/")[0]
    pairs = read_section(list[CrossModelPair], "cross_model")
    sections = ["# Do steering vectors predict sycophancy?"]
    if read_names("controls", empty=True):
        sections.append(controls_section(json.loads(Path("reports/controls.json").read_text())))
    for model in read_names("models"):
        cells = read_cells(model, [prompt_set])
        sections.append(model_section(model, cells, headline))
        sections += findings(model, cells, headline)
        sections += of_vectors(model, cells, headline)
        sections += of_steering(model)
        if foreign := [pair.vectors_from for pair in pairs if pair.evaluated_in == model]:
            sets = [foreign_set(owner, prompt_set) for owner in foreign]
            sections.append(across_section(model, read_cells(model, sets)))
        sections.append(labels_section(*(read_labels_table(model, evaluation, t) for t in TABLES)))
    with atomic_write(Path("reports/summary.md")) as draft:
        text = "\n\n".join(section for section in sections if section)
        draft.write_text(text + "\n", encoding="utf-8")


def findings(model: str, cells: pl.DataFrame, headline: str) -> list[str]:
    """What moves predictivity in a model, what does best, and where vectors carry over."""
    varied = pl.read_csv("reports/variation.csv").filter(pl.col("model") == model)
    selected = json.loads(Path("reports/selection.json").read_text())[model]
    told = json.loads(Path(f"reports/transfer/{model}.json").read_text())
    at = cells.filter("chosen", pl.col("name") == headline, pl.col("position") == "prompt")
    layer, method = at["layer"][0], headline.partition("/")[2]
    carried = pl.read_csv(f"reports/transfer/{model}.csv").filter(
        pl.col("method") == method, pl.col("layer") == layer
    )
    return [
        variation_section(varied),
        selection_section(selected, cells["family"].unique(maintain_order=True).to_list()),
        gain_section(pl.read_csv(f"reports/gain/{model}.csv"), headline),
        efficiency_section(
            pl.read_csv(f"reports/efficiency/{model}.csv"), cells["family"][0], method
        ),
        transfer_section(carried, told, f"{method}, layer {layer}") if len(carried) else "",
    ]


def of_vectors(model: str, cells: pl.DataFrame, headline: str) -> list[str]:
    """How consistent a model's vectors are, when its answers can be read, and what was left out."""
    agreement, variance, reliability = (
        pl.read_csv(f"reports/consistency/{model}.{name}.csv")
        for name in ("agreement", "variance", "reliability")
    )
    at = cells.filter("chosen", pl.col("name") == headline, pl.col("position") == "prompt")
    layer = int(at["layer"][0])
    tenses = anticipation_against_record(agreement)
    sets = own_sets_of_families(tenses)
    read = (
        anticipation_and_record_aurocs(read_cells(model, [*sets.values()]), sets)
        if sets
        else cells.clear()
    )
    left_out = {
        name: read_variant_index(Path(f"vectors/{model}/{name}")).not_applicable
        for name in read_names("extraction_sets")
    }
    return [
        variance_section(variance, layer),
        reliability_section(reliability, layer),
        tokens_section(pl.read_csv(f"reports/tokens/{model}.csv"), headline),
        tenses_section(tenses, read),
        left_out_section(left_out),
    ]


def of_steering(model: str) -> list[str]:
    """Whether a direction is a cause, what steering along it costs, and how the two go together."""
    settings = read_section(InterventionSettings, "interventions")
    name = settings.vectors[0]
    doses, layers, agreement, costs, said, texts, read, ways = (
        pl.read_csv(f"reports/interventions/{model}/{table}.csv")
        for table in (
            "doses",
            "layers",
            "agreement",
            "costs",
            "said",
            "texts",
            "afterwards",
            "prompting",
        )
    )
    return [
        steering_section(doses, name, settings.where),
        texts_section(texts, name),
        afterwards_section(read, name),
        costs_section(costs, said, name),
        causes_section(agreement, layers),
        prompting_section(ways, name),
    ]


def read_labels_table(model: str, evaluation: str, kind: str) -> pl.DataFrame:
    """One of the `TABLES` that `labels` wrote."""
    path = Path(f"reports/label_tables/{model}/{evaluation}.{kind}.csv")
    if not path.exists():
        raise InputError(f"{path}: not found; run `dvc repro labels`")
    return pl.read_csv(path)


if __name__ == "__main__":
    main()
