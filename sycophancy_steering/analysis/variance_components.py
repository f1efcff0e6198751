"""What predictivity depends on: the prompt set a vector is made from, the method, or both."""

from __future__ import annotations

import numpy as np
import polars as pl

from sycophancy_steering.foundation.arrays import Floats, Labels
from sycophancy_steering.statistics.auroc import auroc
from sycophancy_steering.statistics.estimates import Estimate, t_quantile

COMPONENTS = ("between_sets", "between_methods", "interaction", "largest_gap")
"""Standard deviations of the sets' mean AUROCs, of the methods' means and of the residuals (a
method that suits one set and not another); and the best AUROC minus the worst."""


def variance_components(aurocs: Floats) -> Floats:
    """(..., 4): the `COMPONENTS` of AUROCs (..., sets, methods)."""
    mean = aurocs.mean((-2, -1), keepdims=True)
    sets, methods = aurocs.mean(-1, keepdims=True), aurocs.mean(-2, keepdims=True)
    residuals = aurocs - sets - methods + mean
    freedom = max((aurocs.shape[-2] - 1) * (aurocs.shape[-1] - 1), 1)
    return np.stack(
        [
            sets[..., 0].std(-1, ddof=1),
            methods[..., 0, :].std(-1, ddof=1),
            np.sqrt((residuals**2).sum((-2, -1)) / freedom),
            aurocs.max((-2, -1)) - aurocs.min((-2, -1)),
        ],
        axis=-1,
    )


def jackknife_components(
    scores: Floats, labels: Labels, clusters: np.ndarray, shape: tuple[int, int]
) -> Estimate:
    """(4,) components of the AUROCs of `scores` (sets * methods, n), with 95% intervals.

    Standard errors come from leaving out one item after the other (Tukey 1958); the vectors stay as
    they are. `clusters` (n,) names the items; `shape` is (sets, methods).
    """
    value = variance_components(auroc(scores, labels).reshape(shape))
    replicates = []
    for item in np.unique(clusters):
        rest = clusters != item
        if len(set(labels[rest])) == 2:
            aurocs = auroc(scores[:, rest], labels[rest]).reshape(shape)
            replicates.append(variance_components(aurocs))
    left_out, n = np.array(replicates), len(replicates)
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean(0)) ** 2).sum(0))
    half_width = t_quantile(n - 1) * error
    return Estimate(value, np.clip(value - half_width, 0, None), value + half_width)


def components_of_scores(scores: pl.DataFrame) -> dict[str, object] | None:
    """`COMPONENTS` with intervals, over the methods that every set allows: a row of a table.

    `scores` has a row for each answer (`id`, `label`, `item`) and vector (`prompt_set`, `variant`,
    `projection`), each at its selected layer. None with fewer than two sets or methods, or where
    all labels are alike. A set that allows fewer than half as many methods as another (one without
    contrast pairs) is left out, as it would leave few methods to compare.
    """
    n_methods = scores.group_by("prompt_set", maintain_order=True).agg(pl.col("variant").n_unique())
    enough = pl.col("variant") * 2 >= pl.col("variant").max()
    sets = n_methods.filter(enough)["prompt_set"].to_list()
    scores = scores.filter(pl.col("prompt_set").is_in(sets))
    n_sets = scores.group_by("variant", maintain_order=True).agg(pl.col("prompt_set").n_unique())
    methods = n_sets.filter(pl.col("prompt_set") == len(sets))["variant"].to_list()
    if len(sets) < 2 or len(methods) < 2 or scores["label"].n_unique() < 2:
        return None
    wide = scores.filter(pl.col("variant").is_in(methods)).pivot(
        ["prompt_set", "variant"], index=["id", "label", "item"], values="projection"
    )
    columns = [f'{{"{name}","{method}"}}' for name in sets for method in methods]
    estimate = jackknife_components(
        wide.select(columns).to_numpy().T,
        wide["label"].to_numpy(),
        wide["item"].to_numpy().astype(str),
        (len(sets), len(methods)),
    )
    row: dict[str, object] = {"n_sets": len(sets), "n_methods": len(methods)}
    for n, name in enumerate(COMPONENTS):
        one = Estimate(*(end[n] for end in (estimate.value, estimate.low, estimate.high)))
        row |= {column: float(value) for column, value in one.columns(name).items()}
    return row
