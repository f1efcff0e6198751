"""How far letters and items explain the labels, without any vector.

If the sycophantic answer is always (A) and the model prefers (A), a projection on "answers (A)"
predicts the labels, although they have nothing to do with sycophancy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from sycophancy_steering.schemas.labels import CONFOUNDS
from sycophancy_steering.schemas.table import DECIMALS
from sycophancy_steering.statistics.auroc import auroc
from sycophancy_steering.statistics.estimates import central_interval

Groups = NDArray[np.integer]
N_HALVINGS = 40
N_PERMUTATIONS, PERMUTATIONS_AT_ONCE = 200, 5


@dataclass(frozen=True)
class Confound:
    """How far the group of an answer predicts its label."""

    auroc: float
    """AUROC of the group's mean label, estimated on one random half of the answers and evaluated on
    the other; the mean over halvings. NaN where all labels are equal."""
    explained_variance: float
    """Share of the labels' variance between groups, adjusted for the number of groups (omega
    squared, at least 0). NaN where all labels are equal."""
    explained_by_chance: float
    """The 97.5% quantile of that share over random permutations of the labels."""


def measure_confound(groups: Groups, labels: NDArray[np.integer], seed: int = 0) -> Confound:
    """How far `groups` (n,), numbered from 0, predict `labels` (n,)."""
    if len(labels) < 3 or labels.min() == labels.max():
        return Confound(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    aurocs = [_held_out_auroc(groups, labels, rng) for _ in range(N_HALVINGS)]
    permuted = (
        rng.permuted(np.tile(labels, (PERMUTATIONS_AT_ONCE, 1)), axis=1)
        for _ in range(N_PERMUTATIONS // PERMUTATIONS_AT_ONCE)
    )
    by_chance = np.concatenate([_explained_variance(groups, block) for block in permuted])
    aurocs = [value for value in aurocs if not np.isnan(value)]
    return Confound(
        auroc=float(np.mean(aurocs)) if aurocs else float("nan"),
        explained_variance=float(_explained_variance(groups, labels[None])[0]),
        explained_by_chance=float(central_interval(by_chance)[1]),
    )


def _held_out_auroc(groups: Groups, labels: NDArray[np.integer], rng: np.random.Generator) -> float:
    """AUROC, on one random half, of the groups' mean labels in the other half."""
    fitted = rng.permutation(len(labels)) < len(labels) // 2
    counts = np.bincount(groups[fitted], minlength=groups.max() + 1)
    sums = np.bincount(groups[fitted], labels[fitted], minlength=groups.max() + 1)
    overall = labels[fitted].mean()
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return float(auroc(means[groups[~fitted]], labels[~fitted]))


def _explained_variance(groups: Groups, labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Adjusted share (k,) of the variance of each row of `labels` (k, n) between groups."""
    _, member, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n, n_groups = labels.shape[1], len(counts)
    if n_groups == n:
        return np.full(len(labels), np.nan)  # undefined where every answer is a group of its own
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(labels[:, np.argsort(member, kind="stable")], starts, axis=1)
    total = ((labels - labels.mean(1, keepdims=True)) ** 2).sum(1)
    within = total - ((sums**2 / counts).sum(1) - labels.sum(1) ** 2 / n)
    return np.maximum(1 - (within / (n - n_groups)) / (total / (n - 1)), 0)


def group_numbers(*columns: pl.Series) -> Groups:
    """(n,) a number for every combination of the columns' values."""
    keys = pl.struct(*(column.alias(str(n)) for n, column in enumerate(columns)))
    return pl.select(keys.rank("dense")).to_series().to_numpy().astype(int) - 1


def confounds(answers: pl.DataFrame) -> dict[str, Confound]:
    """How far letters and items predict the labels of `answers`, of which none may be null.

    `letter answered` explains everything where the sycophantic answer always has the same letter,
    `sycophantic letter` where the model always answers with the same letter. `item and letter` (of
    the sycophantic answer) often identifies a view in public sets: a model with views of its own
    seems sycophantic to everybody who shares them. Answers without letters are one group.
    """
    labels = answers["label"].to_numpy().astype(int)
    shown = pl.col("form") == "letters"
    answered, matching = answers.select(
        pl.when(shown).then("answered_letter").otherwise(pl.lit("")).alias("answered_letter"),
        pl.when(shown).then("matching").otherwise(pl.lit("")).alias("matching"),
    )
    return {
        "letter answered": measure_confound(group_numbers(answered), labels),
        "sycophantic letter": measure_confound(group_numbers(matching), labels),
        "item": measure_confound(group_numbers(answers["item"]), labels),
        "item and letter": measure_confound(group_numbers(answers["item"], matching), labels),
    }


def reported_answers(labels: pl.DataFrame) -> pl.DataFrame:
    """The labelled answers of `test`, or of all splits where there are none."""
    labelled = labels.filter(pl.col("label").is_not_null())
    test = labelled.filter(pl.col("split") == "test")
    return test if len(test) else labelled


def label_rates(labels: pl.DataFrame) -> pl.DataFrame:
    """The table LABEL_RATES of the labels of a prompt set."""
    counts = labels.group_by("family", maintain_order=True).agg(
        n=pl.len().cast(pl.Int64), n_unlabelled=pl.col("label").null_count().cast(pl.Int64)
    )
    shares = (
        reported_answers(labels)
        .group_by("family")
        .agg(sycophantic_share=pl.col("label").mean().round(DECIMALS))
    )
    return counts.join(shares, on="family", how="left", maintain_order="left")


def confound_table(labels: pl.DataFrame) -> pl.DataFrame:
    """The table CONFOUNDS of the labels of a prompt set: a row a family and confound."""
    answers = reported_answers(labels)
    rows = []
    for (family,), part in answers.group_by("family", maintain_order=True):
        row = {"family": family, "n": len(part), "sycophantic_share": part["label"].mean()}
        rows += [row | {"by": name, **asdict(values)} for name, values in confounds(part).items()]
    table = pl.DataFrame(rows, schema=dict(CONFOUNDS.columns))
    return table.with_columns(cs.float().round(DECIMALS).fill_nan(None))
