"""What fine-tuning shows: answers changed by each method, and against steering."""

from __future__ import annotations

import numpy as np
import polars as pl

from sycophancy_steering.interventions.prompting_tables import changed_shares
from sycophancy_steering.schemas.tuning import (
    BASELINE_ANSWERS,
    BASELINE_SIDE_EFFECTS,
    BASELINE_WEAK_VECTORS,
    HEADLINE,
    METHODS,
    SIDE_EFFECTS,
    VERSUS_STEERING,
    WEAK_VECTORS,
)
from sycophancy_steering.statistics.clustered_means import clustered_mean
from sycophancy_steering.statistics.estimates import CONFIDENCE, Estimate, row_of
from sycophancy_steering.tuning.training_runs import TRUE_LABELS

KEYS = ("method", "towards", "n_examples", "label_source", "family")
REFERENCE = "steering"


def write_tuning_tables(model: str) -> pl.DataFrame:
    """Writes the tables of reports/tuning/MODEL; returns the table `METHODS`.

    Raises InputError where a table that it reads is missing.
    """
    answers = BASELINE_ANSWERS.read(model=model)
    methods = method_table(answers)
    METHODS.write(methods, model=model)
    VERSUS_STEERING.write(difference_table(answers), model=model)
    SIDE_EFFECTS.write(BASELINE_SIDE_EFFECTS.read(model=model), model=model)
    WEAK_VECTORS.write(BASELINE_WEAK_VECTORS.read(model=model), model=model)
    HEADLINE.write(headline_table(methods), model=model)
    return methods


def method_table(answers: pl.DataFrame) -> pl.DataFrame:
    """The table `METHODS`: all seeds together, and the `lowest` and `highest` share of one seed."""
    schema = {key: METHODS.columns[key] for key in KEYS}
    all_seeds = changed_shares(answers, schema)
    share = pl.col("changed_share")
    extremes = (
        changed_shares(answers, {**schema, "seed": pl.Int64})
        .group_by(KEYS, maintain_order=True)
        .agg(share.min().alias("lowest"), share.max().alias("highest"))
    )
    return all_seeds.join(extremes, on=KEYS, how="left", maintain_order="left")


def difference_table(answers: pl.DataFrame, reference: str = REFERENCE) -> pl.DataFrame:
    """The table `VERSUS_STEERING`: how much more of the same questions a method changes than
    `reference` with as many examples.

    Methods without a reference of as many examples are left out. Intervals are clustered by item,
    for these seeds. Where no answer differs from another, the interval is as wide as that of a
    share of none or of all items (`clustered_share`).
    """
    keys = ["n_examples", "label_source", "towards", "family", "id", "item"]
    changed = _changed_by_question(answers)
    is_reference = pl.col("method") == reference
    of_reference = changed.filter(is_reference).select(*keys, reference="changed")
    both = changed.filter(~is_reference).join(of_reference, on=keys, maintain_order="left")
    rows = []
    columns = ["method", "n_examples", "label_source", "towards", "family"]
    for values, group in both.group_by(columns, maintain_order=True):
        items = group["item"].to_numpy().astype(str)
        differences = (group["changed"] - group["reference"]).to_numpy()
        difference = clustered_mean(differences, items)
        n_items = len(np.unique(items))
        if len(set(differences)) == 1:
            width = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n_items)
            bounds = np.clip(differences[0] + width * np.array([-1, 1]), -1, 1)
            difference = Estimate(difference.value, *bounds)
        row: dict[str, object] = dict(zip(columns, values, strict=True))
        row |= {"n": len(group), "n_items": n_items}
        rows.append(row | row_of({"changed_share_difference": difference}))
    return pl.DataFrame(rows, schema=VERSUS_STEERING.columns)


def headline_table(methods: pl.DataFrame) -> pl.DataFrame:
    """The table `HEADLINE`, from the table `METHODS`."""
    most = methods["n_examples"].max()
    selected = methods.filter(
        pl.col("label_source") == TRUE_LABELS,
        ~pl.col("towards"),
        pl.col("changed_share").is_not_null(),
        pl.col("n_examples").is_in([0, most]),
    )
    return selected.select([*HEADLINE.columns])


def _changed_by_question(answers: pl.DataFrame) -> pl.DataFrame:
    """For each question that the plain model answers the other way: the share of seeds with which
    the answer is `changed`."""
    changeable = pl.col("label") == pl.when("towards").then(0).otherwise(1)
    follows = ((pl.col("log_odds_after") > 0) == pl.col("towards")).cast(pl.Float64)
    keys = ["method", "n_examples", "label_source", "towards", "family", "id", "item"]
    known = answers.filter(changeable, pl.col("log_odds_after").is_not_nan())
    return known.group_by(keys, maintain_order=True).agg(follows.mean().alias("changed"))
