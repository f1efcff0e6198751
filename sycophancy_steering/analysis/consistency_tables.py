"""Agreement, variance and reliability of a model's mean differences at every layer."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from tqdm import tqdm

from sycophancy_steering.analysis.consistency import (
    agreement_table,
    mean_differences,
    reliability_table,
    variance_table,
)
from sycophancy_steering.analysis.cross_item_products import group_items, noise_free_cosines
from sycophancy_steering.analysis.foreign_agreement import foreign_agreement_table
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.config.foreign_vectors import FOREIGN
from sycophancy_steering.schemas.analysis import AGREEMENT, RELIABILITY, VARIANCE
from sycophancy_steering.storage.vector_files import has_vector


@dataclass(frozen=True)
class ConsistencyTables:
    """How far a model's mean differences agree, and why not."""

    agreement: pl.DataFrame
    """The table AGREEMENT."""
    variance: pl.DataFrame
    """The table VARIANCE."""
    reliability: pl.DataFrame
    """The table RELIABILITY."""
    left_out: dict[str, str]
    """Why the vector of a set and position cannot be made."""


def consistency_tables(study: ModelStudy, n_pairs: list[int]) -> ConsistencyTables:
    """The tables of all extraction sets whose activations are kept; `n_pairs` are the sizes whose
    reliability is estimated."""
    if not study.extractions:
        tables = AGREEMENT.empty(), VARIANCE.empty(), RELIABILITY.empty()
        return ConsistencyTables(*tables, left_out={})
    families = {
        str(item): str(family)
        for answers in study.extractions.values()
        for item, family in zip(answers.items, answers.families, strict=True)
    }
    groups = group_items(families)
    parts_of: dict[str, list[pl.DataFrame]] = {"agreement": [], "variance": [], "reliability": []}
    left_out: dict[str, str] = {}
    layers = range(next(iter(study.extractions.values())).origin.n_layers)
    for layer in tqdm(layers, unit="layer", disable=None, desc="consistency"):
        vectors, left_out = mean_differences(study.extractions, layer, groups)
        cosines = noise_free_cosines([vector.direction for vector in vectors], groups)
        foreign = {
            name: values[layer]
            for (prompt_set, name), values in study.vectors.items()
            if prompt_set == FOREIGN and has_vector(values)[layer]
        }
        at_layer = {
            "agreement": pl.concat(
                [
                    agreement_table(vectors, cosines, len(groups.groups)),
                    foreign_agreement_table(foreign, vectors, groups),
                ]
            ),
            "variance": variance_table(vectors, cosines, groups),
            "reliability": pl.concat(
                reliability_table(answers, layer, n_pairs).select(
                    pl.lit(name).alias("prompt_set"), pl.all()
                )
                for name, answers in study.extractions.items()
            ),
        }
        for name, table in at_layer.items():
            parts_of[name].append(table.select(pl.lit(layer, pl.Int64).alias("layer"), pl.all()))
    joined = {name: pl.concat(parts) for name, parts in parts_of.items()}
    return ConsistencyTables(**joined, left_out=left_out)
