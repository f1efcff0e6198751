"""How vectors of what training changed compare with vectors of prompts, and what they foretell."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.ablation_tables import auroc_after_ablation
from sycophancy_steering.interventions.steering_tables import estimate_columns
from sycophancy_steering.statistics.auroc import auroc, clustered_auroc
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.statistics.vector_agreement import cosine

RANDOM = 200
"""Random directions beside each number."""


def cosine_rows(
    vectors: Mapping[int, Floats], prompt_vector: Floats, states: Mapping[int, ArrayStream]
) -> list[dict[str, object]]:
    """A row a layer: how far the vectors of several seeds, by seed (halves, layers, d_model), agree
    with `prompt_vector` (layers, d_model), and with one another.

    `cosine` and `mahalanobis` (the correlation of both projections of the plain model's `states`,
    by layer) are of their mean, `cosine_low` and `cosine_high` the least and the
    most of one seed; `ceiling_seeds` the mean cosine of two seeds, `ceiling_items` that of the two
    halves of the fixed prompts' items; `random` the 95th percentile of the cosine's size of
    `prompt_vector` with directions that lie as the states do.
    """
    rows = []
    whole = np.stack([each.mean(0) for each in vectors.values()])
    mean = whole.mean(0)
    draw = np.random.default_rng(0)
    for layer, (own, other) in enumerate(zip(mean, prompt_vector, strict=True)):
        each = cosine(whole[:, layer], other)
        held = states[layer]
        weights = draw.standard_normal((RANDOM, len(held)))
        lying = held.weighted_sums(weights - weights.mean(1, keepdims=True))
        correlation = np.corrcoef(held.dot(own), held.dot(other))[0, 1]
        seeds = [cosine(one[layer], two[layer]) for one, two in combinations(whole, 2)]
        halves = [cosine(one[layer], two[layer]) for one, two in vectors.values()]
        rows.append(
            {
                "layer": layer,
                "cosine": float(cosine(own, other)),
                "cosine_low": float(each.min()),
                "cosine_high": float(each.max()),
                "mahalanobis": float(correlation),
                "ceiling_seeds": float(np.mean(seeds)) if seeds else None,
                "ceiling_items": float(np.mean(halves)),
                "random": float(np.quantile(np.abs(cosine(lying, other)), 0.95)),
                "seeds": len(vectors),
            }
        )
    return rows


def predictivity_rows(
    vectors: Mapping[int, Floats],
    states: Mapping[int, ArrayStream],
    answers: pl.DataFrame,
) -> list[dict[str, object]]:
    """A row a family: at the layer chosen on `select`, the AUROC on `test` of projecting the plain
    model's `states` (by layer, at the prompts' ends) on the mean of several seeds' vectors; `least`
    and `most` of one seed's; and the range of random directions."""
    whole = {seed: each.mean(0) for seed, each in vectors.items()}
    mean = np.mean([*whole.values()], axis=0)
    scores = {layer: held.dot(unit(mean[layer])) for layer, held in states.items()}
    rows = []
    for family in answers["family"].unique(maintain_order=True):
        on = {
            split: np.flatnonzero(
                ((answers["family"] == family) & (answers["split"] == split)).to_numpy()
            )
            for split in ("select", "test")
        }
        labels = answers["label"].to_numpy()
        if any(len(set(labels[each])) < 2 for each in on.values()):
            continue
        areas = {layer: auroc(s[on["select"]], labels[on["select"]]) for layer, s in scores.items()}
        best = max(areas, key=lambda layer: float(areas[layer]))
        test, items = on["test"], answers["item"].to_numpy().astype(str)
        found = clustered_auroc(scores[best][test], labels[test], items[test])
        each = [
            float(auroc(states[best].dot(unit(one[best]))[test], labels[test]))
            for one in whole.values()
        ]
        low, high = _random_auroc_range(states[best], test, labels[test])
        rows.append(
            {"family": family, "layer": best, "n": len(test), "items": len(set(items[test]))}
            | estimate_columns({"auroc": found})
            | {"least": min(each), "most": max(each), "seeds": len(each)}
            | {"random_low": low, "random_high": high}
        )
    return rows


def _random_auroc_range(
    states: ArrayStream, rows: NDArray[np.integer], labels: NDArray[np.integer]
) -> tuple[float, float]:
    """The range that holds 95% of random directions' AUROCs."""
    draw = np.random.default_rng(0)
    directions = draw.standard_normal((len(states.mean), RANDOM))
    scores = np.concatenate([block @ directions for block in states.blocks()])[rows].T
    low, high = central_interval(auroc(scores, labels))
    return float(low), float(high)


def unit(vector: Floats) -> Floats:
    """Of length one."""
    return vector / np.linalg.norm(vector)


def predictivity_after_training(read: pl.DataFrame) -> pl.DataFrame:
    """A row a method (missing: nothing was trained), family, reader and layer, all seeds together:
    how many answer sycophantically (`n_then`), and AUROCs as `afterwards.by_reading` has them;
    `label` is how the plain model answers. Scores of different seeds are different scales, so each
    seed has an AUROC of its own, and the row has their mean, with the widest interval."""
    keys = ["family", "by", "read_layer"]
    each = auroc_after_ablation(read, ["method", "seed", *keys])
    return each.group_by("method", *keys, maintain_order=True).agg(
        pl.col("n", "items").first(),
        pl.len().alias("seeds"),
        pl.col("n_then").mean(),
        *(
            reduced.alias(f"{key}{end}")
            for key in ("auroc", "auroc_then")
            for end, reduced in (
                ("", pl.col(key).mean()),
                ("_low", pl.col(f"{key}_low").min()),
                ("_high", pl.col(f"{key}_high").max()),
            )
        ),
    )
