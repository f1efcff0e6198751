"""Measures how well projections on vectors predict which answers are sycophantic.

    python stages/predictivity.py one_cause opinion_pairs one_cause

Reads every vector in vectors/OWNER/SET, activations and labels of the `evaluation_set` and the
prompts of the extraction set; writes a JSON file a vector in reports/predictivity/MODEL/SET
(metrics from `test`, at the layer chosen on `select`), every cell in
reports/cells/MODEL/SET.parquet, what signs dealt anew make of it in
reports/flips/MODEL/SET.parquet, and the read-outs of each answer at the chosen layers in
reports/scores/MODEL/SET.parquet. Where the vectors are another model's, OWNER's, "of-OWNER-SET"
stands for SET. Vectors that were measured before on the same states are taken from .work.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.analysis.answer_scores import answer_scores
from sycophancy_steering.analysis.cached_evaluation import evaluate_vectors_cached
from sycophancy_steering.analysis.cells import READ
from sycophancy_steering.analysis.predictivity import generalisation, select_layers, with_provenance
from sycophancy_steering.analysis.vector_metrics import vector_metrics
from sycophancy_steering.config.predictivity import ScoringSettings, SelectionSettings
from sycophancy_steering.config.reading import read_name, read_section
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.atomic_files import (
    TableParts,
    atomic_write,
    write_json,
    write_table,
)
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.activation_shards import read_ids, read_origin, stream_activations
from sycophancy_steering.storage.cell_files import CELLS, FLIPS, SCORES, foreign_set
from sycophancy_steering.storage.label_files import read_labels, read_noise
from sycophancy_steering.storage.result_cache import digest
from sycophancy_steering.storage.vector_files import read_all_vectors

ABOUT = ["id", "source", "family", "item", "persona"]
"""Of a question, what tells whether another is like it."""


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="the prompt set the vectors were made from",
    owner="the model that the vectors were made from",
)
def main(model: str, prompt_set: str, owner: str) -> None:
    scoring, deals = (
        read_section(ScoringSettings, "scoring"),
        read_section(SelectionSettings, "selection").deals,
    )
    on = read_name("evaluation_set")
    activations = Path(f"data/activations/{model}/{on}")
    labels = Path(f"data/labels/{model}/{on}.parquet")
    extraction = pl.read_parquet(f"data/prompts/{prompt_set}.parquet", columns=ABOUT)
    responses = read_labels(labels, read_ids(activations), [*READ, "persona"])
    kinds = generalisation(extraction, responses)
    origin = read_origin(activations)
    folder = Path(f"vectors/{owner}/{prompt_set}")
    vectors, about = read_all_vectors(folder, origin)
    here = digest([activations, labels])

    def read_layer(layer: int, position: str) -> ArrayStream:
        return stream_activations(activations, layer, position)

    table, largest, new = evaluate_vectors_cached(
        vectors,
        {name: digest([here, folder / f"{name}.safetensors"]) for name in vectors},
        read_layer,
        responses,
        read_noise(labels),
        deals,
        scoring.memory_mb,
    )
    layers = select_layers(table, extraction["family"].unique().to_list())
    if not len(layers):
        raise InputError(
            f"{labels}: no family has answers of both kinds on `select`; expected some, to choose "
            "the layer by: label more answers, or draw more questions"
        )
    table = with_provenance(table, about, layers).with_columns(
        pl.lit(model).alias("model"),
        pl.lit(prompt_set).alias("prompt_set"),
        pl.lit(on).alias("evaluation"),
        pl.col("family").replace_strict(kinds).alias("generalisation"),
    )
    name = prompt_set if owner == model else foreign_set(owner, prompt_set)
    largest = largest.join(about.select("name", "null"), on="name", maintain_order="left")
    write_table(FLIPS / model / f"{name}.parquet", largest)
    with atomic_write(SCORES / model / f"{name}.parquet") as draft, TableParts(draft) as parts:
        for scores in answer_scores(layers, vectors, responses, read_layer):
            parts.write(scores)
    write_table(CELLS / model / f"{name}.parquet", table)
    with atomic_write(Path(f"reports/predictivity/{model}/{name}")) as draft:
        for variant, metrics in vector_metrics(table, responses).items():
            write_json(draft / f"{variant}.json", metrics)
    print(f"{model} {name}: {len(vectors)} vectors measured, {new} of them anew")


if __name__ == "__main__":
    main()
