"""The table POWER of a model, and its few numbers in reports/power.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from sycophancy_steering.config.power import PowerSettings
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.atomic_files import write_table
from sycophancy_steering.power.detectable_auroc import detectable_auroc
from sycophancy_steering.power.power_curve import PowerPoint, power_curves
from sycophancy_steering.power.study_questions import HALF, ModelQuestions, PlannedStudy
from sycophancy_steering.schemas.paths import VECTORS
from sycophancy_steering.schemas.power import POWER
from sycophancy_steering.statistics.binomial import binomial_interval
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.storage.result_cache import cache_path, code_and_libraries, digest
from sycophancy_steering.storage.vector_files import read_vectors

CODE = code_and_libraries("power.power_tables", ignored=("config",))
"""Everything that decides the results, for the keys of the cache."""


def write_power(model: str, suite: Suite, settings: PowerSettings) -> bool:
    """Writes the table POWER of a model; returns whether it came from the cache."""
    questions = ModelQuestions(model, suite)
    inputs = [questions.folder(name) for name in questions.prompt_sets]
    inputs += [questions.labels_path(name) for name in questions.prompt_sets]
    headline = VECTORS / model / f"{suite.headline}.safetensors"
    path = cache_path(
        "power", digest([*inputs, headline, str(asdict(settings)), str(suite), *CODE])
    )
    is_cached = path.exists()
    if not is_cached:
        layer = round(settings.depth * (questions.origin.n_layers - 1))
        headline_vectors, _ = read_vectors(headline, questions.origin.d_model)
        separation = float(np.linalg.norm(headline_vectors[layer]))
        write_table(path, power_table(questions, layer, separation, settings))
    POWER.write(pl.read_parquet(path), model=model)
    return is_cached


def power_table(
    questions: ModelQuestions, layer: int, class_separation: float, settings: PowerSettings
) -> pl.DataFrame:
    """POWER of directions planted at `layer`, where the headline vector's length is
    `class_separation`."""
    rows = []
    for study in questions.studies():
        sizes = [0.0, *settings.sizes] if study.questions.is_possible else []
        spread, norm = study.questions.spread(layer), study.questions.typical_norm(layer)
        curves = power_curves(study.questions, layer, sizes, settings.n_draws)
        for family, curve in enumerate(curves):
            constants = study_columns(study, family) | {
                "layer": layer,
                "n_draws": settings.n_draws,
                "detectable_auroc": detectable_auroc(
                    study.questions.test[family], settings.n_draws
                ),
            }
            rows += [
                constants
                | point_columns(point, settings.n_draws)
                | {
                    "norm_share": point.size * spread / norm,
                    "class_separations": point.size * spread / class_separation,
                }
                for point in curve
            ]
    schema = {name: POWER.columns[name] for name in POWER.columns}
    return pl.DataFrame(rows, schema=schema)


def study_columns(study: PlannedStudy, family: int) -> dict[str, Any]:
    """Which questions a row is about."""
    part, extraction = study.questions.test[family], study.questions.extraction
    return {
        "planted": study.planted,
        "family": part.family,
        "prompt_set": study.prompt_set,
        "n_extraction": sum(map(len, extraction)),
        "n_extraction_planted": sum(questions.n_planted for questions in extraction),
        "n": len(part),
        "n_planted": part.n_planted,
        "n_items": len(np.unique(part.items)),
    }


def point_columns(point: PowerPoint, n_draws: int) -> dict[str, Any]:
    """What was found of one size."""
    found_low, found_high = binomial_interval(point.n_found, n_draws)
    columns: dict[str, Any] = {
        "part": point.part,
        "size": point.size,
        "found_share": point.n_found / n_draws,
        "found_share_low": found_low,
        "found_share_high": found_high,
    }
    for name, values in (("auroc", point.aurocs), ("cosine", point.cosines)):
        low, high = central_interval(values)
        columns |= {name: float(values.mean()), f"{name}_low": float(low)}
        columns[f"{name}_high"] = float(high)
    return columns


def headline_power(power: pl.DataFrame) -> dict[str, float]:
    """A model's part of reports/power.json: a direction planted in half of all questions, tested on
    the first family. Numbers that are undefined, as no size was found, are left out."""
    control = power.filter(pl.col("planted") == HALF)
    rows = control.filter(pl.col("family") == pl.col("family").first())
    by_part = {row["part"]: row for row in rows.rows(named=True)}
    smallest, twice = by_part.get("smallest", {}), by_part.get("twice", {})
    nothing = rows.filter(pl.col("size") == 0)["found_share"]
    numbers = {
        "smallest_size": smallest.get("size"),
        "smallest_auroc": smallest.get("auroc"),
        "found_at_smallest": smallest.get("found_share"),
        "found_at_zero": nothing[0] if len(nothing) else None,
        "cosine_at_twice": twice.get("cosine"),
    }
    return {name: value for name, value in numbers.items() if value is not None}
