"""What moves predictivity: the prompt set a vector is made from, the method, or both together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.statistics.discrimination import auroc, students_t


@dataclass(frozen=True)
class Parts:
    """How the AUROCs of sets x methods vary, each a standard deviation in AUROC."""

    between_sets: float
    """Of the sets' means."""
    between_methods: float
    """Of the methods' means."""
    together: float
    """Of what is left: a method that suits one set and not another."""
    largest_gap: float
    """Best minus worst of all."""


def parts(areas: Floats) -> Floats:
    """The fields of `Parts`, in order, of AUROCs (..., sets, methods): (..., 4)."""
    mean = areas.mean((-2, -1), keepdims=True)
    sets, methods = areas.mean(-1, keepdims=True), areas.mean(-2, keepdims=True)
    left = areas - sets - methods + mean
    freedom = max((areas.shape[-2] - 1) * (areas.shape[-1] - 1), 1)
    return np.stack(
        [
            sets[..., 0].std(-1, ddof=1),
            methods[..., 0, :].std(-1, ddof=1),
            np.sqrt((left**2).sum((-2, -1)) / freedom),
            areas.max((-2, -1)) - areas.min((-2, -1)),
        ],
        axis=-1,
    )


def jackknife(
    scores: Floats, labels: NDArray[np.integer], clusters: NDArray[np.generic], shape: tuple
) -> tuple[Floats, Floats, Floats]:
    """`parts` of AUROCs of `scores` (sets * methods, n), and their 95% intervals.

    The error is that of leaving out one item after the other (Tukey 1958); vectors are as they are.
    """
    value = parts(auroc(scores, labels).reshape(shape))
    without = []
    for item in np.unique(clusters):
        kept = clusters != item
        if len(set(labels[kept])) == 2:
            without.append(parts(auroc(scores[:, kept], labels[kept]).reshape(shape)))
    left_out, n = np.array(without), len(without)
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean(0)) ** 2).sum(0))
    reach = students_t(n - 1) * error
    return value, np.clip(value - reach, 0, None), value + reach


def variation(scores: pl.DataFrame) -> dict[str, object] | None:
    """`Parts` with `_low` and `_high`, over the methods that every set allows.

    `scores` holds a row an answer (`id`, `label`, `item`) and vector (`prompt_set`, `name`,
    `projection`), each at its chosen layer. None with fewer than two sets or methods, or where all
    labels are alike.
    """
    sets = scores["prompt_set"].unique(maintain_order=True).to_list()
    everywhere = scores.group_by("name", maintain_order=True).agg(pl.col("prompt_set").n_unique())
    methods = everywhere.filter(pl.col("prompt_set") == len(sets))["name"].to_list()
    if len(sets) < 2 or len(methods) < 2 or scores["label"].n_unique() < 2:
        return None
    wide = scores.filter(pl.col("name").is_in(methods)).pivot(
        ["prompt_set", "name"], index=["id", "label", "item"], values="projection"
    )
    columns = [f'{{"{each}","{method}"}}' for each in sets for method in methods]
    found = jackknife(
        wide.select(columns).to_numpy().T,
        wide["label"].to_numpy(),
        wide["item"].to_numpy().astype(str),
        (len(sets), len(methods)),
    )
    row: dict[str, object] = {"sets": len(sets), "methods": len(methods)}
    for name, *ends in zip(Parts.__dataclass_fields__, *found, strict=True):
        for suffix, value in zip(("", "_low", "_high"), ends, strict=True):
            row[f"{name}{suffix}"] = float(value)
    return row
