"""What explains the labels without any vector: letters and items.

A set whose sycophantic answer always stands at (A), read by a model with a liking for (A), has
labels that a projection on "says A" predicts well, and that tell nothing of sycophancy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from sycophancy_steering.statistics.auroc import auroc
from sycophancy_steering.statistics.estimates import central_interval

Groups = NDArray[np.integer]
CONFOUND_COLUMNS = ["family", "split", "item", "form", "matching", "said"]
"""What of an answer is looked at here, beside its label."""
N_HALVINGS = 40
N_PERMUTATIONS, PERMUTATIONS_AT_ONCE = 200, 5


@dataclass(frozen=True)
class Confound:
    """How far group membership gives the labels away."""

    auroc: float
    """Of the label's mean in the group, taken from one half of the answers and tried on the other;
    the mean over random halvings. NaN where all labels are alike."""
    explained_variance: float
    """Share of the labels' variance between groups, adjusted for their number (omega squared, at
    least 0); NaN where all labels are alike."""
    explained_by_chance: float
    """The share that 97.5% of random deals of the labels stay below."""


def measure_confound(groups: Groups, labels: NDArray[np.integer], seed: int = 0) -> Confound:
    """How far `groups` (n,), numbered from 0, give `labels` (n,) away."""
    if len(labels) < 3 or labels.min() == labels.max():
        return Confound(float("nan"), float("nan"), float("nan"))
    draw = np.random.default_rng(seed)
    halves = [_held_out_auroc(groups, labels, draw) for _ in range(N_HALVINGS)]
    dealt = (draw.permuted(np.tile(labels, (PERMUTATIONS_AT_ONCE, 1)), axis=1) for _ in range(N_PERMUTATIONS // PERMUTATIONS_AT_ONCE))
    by_chance = np.concatenate([_explained_variance(groups, each) for each in dealt])
    found = [area for area in halves if not np.isnan(area)]
    return Confound(
        auroc=float(np.mean(found)) if found else float("nan"),
        explained_variance=float(_explained_variance(groups, labels[None])[0]),
        explained_by_chance=float(central_interval(by_chance)[1]),
    )


def _held_out_auroc(groups: Groups, labels: NDArray[np.integer], draw: np.random.Generator) -> float:
    """AUROC, on one random half, of the groups' mean labels in the other half."""
    learned = draw.permutation(len(labels)) < len(labels) // 2
    counts = np.bincount(groups[learned], minlength=groups.max() + 1)
    sums = np.bincount(groups[learned], labels[learned], minlength=groups.max() + 1)
    overall = labels[learned].mean()
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return float(auroc(means[groups[~learned]], labels[~learned]))


def _explained_variance(groups: Groups, labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Adjusted share of the variance of each row of `labels` (k, n) that is between groups."""
    _, member, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n, held = labels.shape[1], len(counts)
    if held == n:
        return np.full(len(labels), np.nan)  # each answer its own group: nothing can be told
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(labels[:, np.argsort(member, kind="stable")], starts, axis=1)
    total = ((labels - labels.mean(1, keepdims=True)) ** 2).sum(1)
    within = total - ((sums**2 / counts).sum(1) - labels.sum(1) ** 2 / n)
    return np.maximum(1 - (within / (n - held)) / (total / (n - 1)), 0)


def group_numbers(*columns: pl.Series) -> Groups:
    """The number of each row's combination of values."""
    keys = pl.struct(*(column.alias(str(n)) for n, column in enumerate(columns)))
    return pl.select(keys.rank("dense")).to_series().to_numpy().astype(int) - 1


def confounds(answers: pl.DataFrame) -> dict[str, Confound]:
    """What gives away the labels of `answers`, of which none may be missing.

    `letter answered` tells all where the sycophantic answer has one letter only; `sycophantic
    letter` where the model always answers with one. `item and letter` (that of the sycophantic
    answer): in public sets it often stands for a view, and a model with views of its own is then
    sycophantic to whoever shares them. Where no letters are shown, none can give an answer away.
    """
    labels = answers["label"].to_numpy().astype(int)
    shown = pl.col("form") == "letters"
    said, matching = answers.select(
        pl.when(shown).then("said").otherwise(pl.lit("")).alias("said"),
        pl.when(shown).then("matching").otherwise(pl.lit("")).alias("matching"),
    )
    return {
        "letter answered": measure_confound(group_numbers(said), labels),
        "sycophantic letter": measure_confound(group_numbers(matching), labels),
        "item": measure_confound(group_numbers(answers["item"]), labels),
        "item and letter": measure_confound(group_numbers(answers["item"], matching), labels),
    }


def confound_table(labels: pl.DataFrame) -> pl.DataFrame:
    """What else gives the labels away, a row a family and possible reason.

    On `test`, where numbers are reported, or on all answers where none is of that split.
    """
    known = labels.filter(pl.col("label").is_not_null())
    test = known.filter(pl.col("split") == "test")
    asked = test if len(test) else known
    rows = []
    for family in asked["family"].unique(maintain_order=True):
        held = asked.filter(pl.col("family") == family)
        found = {"family": family, "n": len(held), "sycophantic": held["label"].mean()}
        rows += [found | {"by": by, **asdict(each)} for by, each in confounds(held).items()]
    kinds = {"family": pl.String, "n": pl.Int64, "sycophantic": pl.Float64, "by": pl.String}
    shares = dict.fromkeys(["auroc", "explained", "by_chance"], pl.Float64)
    table = pl.DataFrame(rows, schema=kinds | shares)
    return table.with_columns(cs.float().round(5).fill_nan(None))
