"""How the changes by fine-tuning compare with the prompts' vector, and what they predict."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.ablation_tables import READOUT, auroc_after_ablation
from sycophancy_steering.schemas.interventions import COUNTS
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.statistics.auroc import auroc, clustered_auroc
from sycophancy_steering.statistics.estimates import central_interval, row_of
from sycophancy_steering.statistics.vector_agreement import cosine

N_RANDOM = 200
"""Random directions that numbers are compared with."""


def cosine_rows(
    vectors: Mapping[int, Floats], prompt_vector: Floats, activations: Mapping[int, ArrayStream]
) -> list[dict[str, object]]:
    """A row a layer of the table `COSINES`.

    `vectors` are the changes by seed (halves of the items, layers, d_model), `prompt_vector` has
    shape (layers, d_model), `activations` are the plain model's by layer. `cosine` is that of the
    mean over seeds and halves; `mahalanobis_cosine` the correlation of both projections;
    `ceiling_seeds` the mean cosine of two seeds, `ceiling_items` that of the two halves;
    `random_cosine` the 95th percentile of the absolute cosine of the prompts' vector with
    directions distributed like the activations.
    """
    rows: list[dict[str, object]] = []
    by_seed = np.stack([halves.mean(0) for halves in vectors.values()])
    mean = by_seed.mean(0)
    rng = np.random.default_rng(0)
    for layer, (own, other) in enumerate(zip(mean, prompt_vector, strict=True)):
        of_layer = activations[layer]
        cosines = cosine(by_seed[:, layer], other)
        weights = rng.standard_normal((N_RANDOM, len(of_layer)))
        random = of_layer.weighted_sums(weights - weights.mean(1, keepdims=True))
        correlation = np.corrcoef(of_layer.dot(own), of_layer.dot(other))[0, 1]
        seeds = [cosine(one[layer], two[layer]) for one, two in combinations(by_seed, 2)]
        halves = [cosine(one[layer], two[layer]) for one, two in vectors.values()]
        rows.append(
            {
                "layer": layer,
                "cosine": float(cosine(own, other)),
                "cosine_lowest": float(cosines.min()),
                "cosine_highest": float(cosines.max()),
                "mahalanobis_cosine": float(correlation),
                "ceiling_seeds": float(np.mean(seeds)) if seeds else None,
                "ceiling_items": float(np.mean(halves)),
                "random_cosine": float(np.quantile(np.abs(cosine(random, other)), 0.95)),
                "n_seeds": len(vectors),
            }
        )
    return rows


def predictivity_rows(
    vectors: Mapping[int, Floats],
    activations: Mapping[int, ArrayStream],
    answers: pl.DataFrame,
) -> list[dict[str, object]]:
    """A row a family with both classes of the table `DIFFERENCE_PREDICTIVITY`.

    The AUROC on `test` of projecting the plain model's activations (by layer, at the prompts' last
    tokens) on the mean of the seeds' vectors, at the layer selected on `select`.
    """
    by_seed = [halves.mean(0) for halves in vectors.values()]
    mean = np.mean(by_seed, axis=0)
    scores = {layer: stream.dot(_unit(mean[layer])) for layer, stream in activations.items()}
    labels, items = answers["label"].to_numpy(), answers["item"].to_numpy().astype(str)
    rows: list[dict[str, object]] = []
    for family in answers["family"].unique(maintain_order=True):
        of_family = answers["family"] == family
        select, test = (
            np.flatnonzero((of_family & (answers["split"] == split)).to_numpy())
            for split in ("select", "test")
        )
        if any(len(set(labels[split])) < 2 for split in (select, test)):
            continue
        on_select = {
            layer: float(auroc(of_layer[select], labels[select]))
            for layer, of_layer in scores.items()
        }
        layer = max(on_select, key=lambda layer: on_select[layer])
        of_seeds = [
            float(auroc(activations[layer].dot(_unit(vector[layer]))[test], labels[test]))
            for vector in by_seed
        ]
        on_test = clustered_auroc(scores[layer][test], labels[test], items[test])
        low, high = _random_auroc_range(activations[layer], test, labels[test])
        rows.append(
            {"family": family, "layer": layer, "n": len(test), "n_items": len(set(items[test]))}
            | row_of({"auroc": on_test})
            | {"auroc_lowest": min(of_seeds), "auroc_highest": max(of_seeds)}
            | {"n_seeds": len(by_seed), "random_low": low, "random_high": high}
        )
    return rows


def predictivity_after_training(scores: pl.DataFrame) -> pl.DataFrame:
    """The table `AFTER_TRAINING`; `scores` is the table of `scores_after_training`.

    Scores of different seeds have different scales, so each seed has an AUROC of its own; the row
    has their mean and the widest interval.
    """
    by_seed = auroc_after_ablation(scores, ["method", "seed"])
    aggregated = []
    for name in ("auroc", "auroc_after"):
        value, low, high = estimate(name)
        aggregated += [pl.col(value).mean(), pl.col(low).min(), pl.col(high).max()]
    return by_seed.group_by("method", *READOUT, maintain_order=True).agg(
        pl.col(*COUNTS).first(),
        pl.len().cast(pl.Int64).alias("n_seeds"),
        pl.col("n_sycophantic_after").mean(),
        *aggregated,
    )


def _random_auroc_range(
    activations: ArrayStream, rows: NDArray[np.integer], labels: NDArray[np.integer]
) -> tuple[float, float]:
    """The central 95% of random directions' AUROCs."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((len(activations.mean), N_RANDOM))
    scores = np.concatenate([block @ directions for block in activations.blocks()])[rows].T
    low, high = central_interval(auroc(scores, labels))
    return float(low), float(high)


def _unit(vector: Floats) -> Floats:
    return vector / np.linalg.norm(vector)
