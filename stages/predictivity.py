"""Measures how well projections on vectors predict which answers are sycophantic.

    python stages/predictivity.py one_cause opinion_pairs one_cause

Reads every vector in vectors/OWNER/SET, activations and labels of the `evaluation` set and the
prompts of the extraction set; writes a JSON file a vector in reports/predictivity/MODEL/SET
(metrics from `test`, at the layer chosen on `select`), every cell in
reports/cells/MODEL/SET.parquet, what signs dealt anew make of it in
reports/flips/MODEL/SET.parquet, and the read-outs of each answer at the chosen layers in
reports/scores/MODEL/SET.parquet. Where the vectors are another model's, OWNER's, "of-OWNER-SET"
stands for SET. Vectors that were measured before on the same states are taken from .work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from lib import (
    average_precision,
    calibration,
    evaluation,
    predictivity_table,
    sign_flips,
    statistics,
)
from lib.activation_shards import read_origin, read_states
from lib.cell_files import CELLS, FLIPS, SCORES, of_another
from lib.command import command
from lib.evaluation import EVERY_SOURCE
from lib.label_files import ASKED, read_labels, read_noise
from lib.output import whole, write_json
from lib.parameters import read_name, read_section
from lib.predictivity_table import choose_layers, generalisation, predictivity, project
from lib.refusal import Refusal
from lib.remembered import code, digest, place
from lib.selection import Selection
from lib.sign_flips import Flips, dealt_signs
from lib.vector_files import read_vectors, vectors_in

SEED = 0
MODULES = average_precision, calibration, evaluation, predictivity_table, sign_flips, statistics
"""Where it stands how a vector is measured."""


@dataclass(frozen=True)
class Scoring:
    """`scoring` in params.yaml."""

    memory_mb: int
    """What scores of many vectors at once may take."""

    def __post_init__(self) -> None:
        if self.memory_mb < 1:
            raise Refusal(
                f"params.yaml: scoring.memory_mb: expected at least 1, found {self.memory_mb}"
            )


@command(
    __doc__,
    model="an entry of model in params.yaml",
    prompt_set="the prompt set the vectors were made from",
    owner="the model that the vectors were made from",
)
def main(model: str, prompt_set: str, owner: str) -> None:
    scoring, deals = read_section(Scoring, "scoring"), read_section(Selection, "selection").deals
    on = read_name("evaluation")
    activations = Path(f"data/activations/{model}/{on}")
    labels = Path(f"data/labels/{model}/{on}.parquet")
    extraction = pl.read_parquet(f"data/prompts/{prompt_set}.parquet", columns=ASKED)
    responses = read_labels(labels, read_states(activations, 0, "prompt").ids)
    kinds = generalisation(extraction, responses)
    origin = read_origin(activations)
    files = vectors_in(Path(f"vectors/{owner}/{prompt_set}"))
    vectors, about = {}, []
    for path in files:
        vectors[path.stem], made = read_vectors(path, origin.d_model)
        if len(vectors[path.stem]) != origin.layers:
            raise Refusal(
                f"{path}: vectors for {len(vectors[path.stem])} layers, but {model} has "
                f"{origin.layers}; expected a vector of this model or of one of the same shape"
            )
        about.append(
            {"name": path.stem, "null": made.get("null", False)}
            | {key: str(value) for key, value in made.get("variant", {}).items()}
        )

    here = digest([activations, labels, str(deals), *code(*MODULES)])
    keys = {path.stem: digest([here, path]) for path in files}
    missing = {
        name: vectors[name] for name, key in keys.items() if not place("flips", key).exists()
    }
    if missing:
        items = np.unique(responses["item"].to_numpy().astype(str))
        flips = Flips(items, dealt_signs(len(items), deals, SEED))
        states, noise = read_layer_of(activations), read_noise(labels)
        table = predictivity(missing, states, responses, SEED, noise, scoring.memory_mb, flips)
        for name, part in table.partition_by("name", as_dict=True).items():
            keep(part, place("cells", keys[str(name[0])]))
        for name, largest in flips.largest.items():
            keep(pl.DataFrame({"largest": largest}), place("flips", keys[name]))
    table = pl.concat([pl.read_parquet(place("cells", key)) for key in keys.values()])
    layers = choose_layers(table, extraction["family"].unique().to_list())
    if not len(layers):
        raise Refusal(
            f"{labels}: no family has answers of both kinds on `select`; expected some, to choose "
            "the layer by: label more answers, or draw more questions"
        )
    table = described(table, pl.DataFrame(about), layers).with_columns(
        pl.lit(model).alias("model"),
        pl.lit(prompt_set).alias("prompt_set"),
        pl.lit(on).alias("evaluation"),
        pl.col("family").replace_strict(kinds).alias("generalisation"),
    )
    name = prompt_set if owner == model else of_another(owner, prompt_set)
    keep(by_chance(keys, table), FLIPS / model / f"{name}.parquet")
    read = scores(layers, vectors, responses, read_layer_of(activations))
    keep(read, SCORES / model / f"{name}.parquet")
    keep(table, CELLS / model / f"{name}.parquet")
    metrics = headlines(table, responses)
    with whole(Path(f"reports/predictivity/{model}/{name}")) as draft:
        for variant, values in metrics.items():
            write_json(draft / f"{variant}.json", values)
    print(f"{model} {name}: {len(vectors)} vectors measured, {len(missing)} of them anew")


def keep(table: pl.DataFrame, path: Path) -> None:
    """Writes a table whole or not at all."""
    with whole(path) as draft:
        table.write_parquet(draft)


def by_chance(keys: dict[str, str], table: pl.DataFrame) -> pl.DataFrame:
    """For each vector and deal of the items' signs, the largest statistic of all its read-outs."""
    nulls = set(table.filter("null")["name"])
    return pl.concat(
        pl.read_parquet(place("flips", key)).select(
            pl.lit(name).alias("name"),
            pl.lit(name in nulls).alias("null"),
            pl.int_range(pl.len()).alias("deal"),
            "largest",
        )
        for name, key in keys.items()
    )


def read_layer_of(activations: Path) -> Callable[[int, str], np.ndarray]:
    """What reads the states at a layer and position."""
    return lambda layer, position: read_states(activations, layer, position).values


def described(table: pl.DataFrame, about: pl.DataFrame, layers: pl.DataFrame) -> pl.DataFrame:
    """The table with how each vector was made, and whether a cell's layer was the chosen one."""
    about = about.rename({"position": "made_at"}, strict=False)
    table = table.join(about, on="name", how="left", maintain_order="left")
    chosen = layers.with_columns(pl.lit(True).alias("chosen"))
    own = pl.col("extraction_layer") == pl.col("layer")
    keys = ["name", "position", "layer"]
    return table.join(chosen, on=keys, how="left", maintain_order="left").with_columns(
        pl.col("chosen").fill_null(False) & own
    )


def scores(
    layers: pl.DataFrame,
    vectors: dict[str, np.ndarray],
    responses: pl.DataFrame,
    read_layer: Callable[[int, str], np.ndarray],
) -> pl.DataFrame:
    """The read-outs of each labelled answer, at each vector's chosen layers."""
    about = ["id", "source", "family", "item", "split", "label"]
    tables = []
    for (position, layer), held in layers.group_by("position", "layer", maintain_order=True):
        names = held["name"].to_list()
        states = read_layer(int(str(layer)), str(position)).astype(float)
        read = project(states, np.stack([vectors[name][layer] for name in names]).astype(float))
        for name, projection, cosine in zip(names, *read, strict=True):
            tables.append(
                responses.with_columns(
                    pl.lit(name).alias("name"),
                    pl.lit(position).alias("position"),
                    pl.lit(layer).alias("layer"),
                    pl.Series("projection", projection),
                    pl.Series("cosine", cosine),
                )
                .filter(pl.col("label").is_not_null())
                .select("name", "position", "layer", *about, "projection", "cosine")
            )
    return pl.concat(tables)


def headlines(table: pl.DataFrame, responses: pl.DataFrame) -> dict[str, dict[str, object]]:
    """The metrics of each vector. A family whose answers are all alike has none."""
    test = responses.filter(pl.col("split") == "test")
    answered = {
        "n": int(test["label"].is_not_null().sum()),
        "invalid_share": round(test["label"].null_count() / max(len(test), 1), 5),
    }
    fit = (pl.col("source") == EVERY_SOURCE) & (pl.col("split") == "test") & pl.col("chosen")
    rows = table.filter(fit & (pl.col("readout") == "projection") & pl.col("auroc").is_not_nan())
    found: dict[str, dict[str, object]] = {name: {**answered} for name in table["name"].unique()}
    for row in rows.sort("position", maintain_order=True, descending=True).iter_rows(named=True):
        metrics = found[row["name"]]
        if row["position"] == "prompt":
            metrics["layer"] = row["layer"]
            metrics[f"{row['family']}_auroc"] = round(row["auroc"], 5)
            metrics[f"{row['family']}_low"] = round(row["auroc_low"], 5)
            metrics[f"{row['family']}_high"] = round(row["auroc_high"], 5)
        elif row["position"] == "continuation":
            metrics[f"{row['family']}_after"] = round(row["auroc"], 5)
    return found


if __name__ == "__main__":
    main()
