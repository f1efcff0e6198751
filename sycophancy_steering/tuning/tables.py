"""What training showed, in tables: turned answers, what stacking adds, what poor labels cost.

Each takes answers: a row a way (`way`, `towards`, `examples`, `seed`, `labels`) and question, with
its `item`, `family` and `label` (is it sycophantic where nothing is done), and its log-odds of the
sycophantic answer `before` and `after`.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sycophancy_steering.interventions.steering_tables import prompting_table, estimate_columns
from sycophancy_steering.statistics.clustered_means import clustered_mean
from sycophancy_steering.statistics.estimates import CONFIDENCE, Estimate

DIRECTION = ["towards", "family"]


def method_table(answers: pl.DataFrame) -> pl.DataFrame:
    """`steered.by_way`, with the `least` and the `most` turned of one seed."""
    found = prompting_table(answers)
    of_one = prompting_table(answers.with_columns(pl.format("{} seed {}", "way", "seed").alias("way")))
    apart = pl.col("way").str.extract(r"^(.*) seed \d+$").alias("way")
    keys = ["way", "towards", "examples", "labels", "family"]
    ends = (
        of_one.with_columns(apart)
        .group_by(keys, maintain_order=True)
        .agg(pl.col("turned").min().alias("least"), pl.col("turned").max().alias("most"))
    )
    return found.join(ends, on=keys, how="left", maintain_order="left")


def _changed_answers(answers: pl.DataFrame) -> pl.DataFrame:
    """Of questions that the model answers the other way by itself: is the answer turned, in the
    mean over seeds? A row a way and question."""
    other = pl.col("label") == pl.when("towards").then(0).otherwise(1)
    there = ((pl.col("after") > 0) == pl.col("towards")).cast(pl.Float64)
    keys = ["way", "examples", "labels", *DIRECTION, "id", "item"]
    held = answers.filter(other, pl.col("after").is_not_nan())
    return held.group_by(keys, maintain_order=True).agg(there.mean().alias("turned"))


def difference_table(answers: pl.DataFrame, reference: str) -> pl.DataFrame:
    """A row a way, number of examples, direction and family: by how much more of the same questions
    it turns than `reference` does with as many examples (`more`, clustered by item). What was shown
    another number of examples is not compared. Draws of the examples are taken as they are: the
    interval is over items. Where no item differs from another, it is as wide as `clustered_share`
    would have it."""
    share = _changed_answers(answers)
    base = share.filter(pl.col("way") == reference).drop("way").rename({"turned": "reference"})
    keys = ["examples", "labels", *DIRECTION, "id", "item"]
    both = share.filter(pl.col("way") != reference).join(base, on=keys, maintain_order="left")
    rows = []
    by = ["way", "examples", "labels", *DIRECTION]
    for values, held in both.group_by(by, maintain_order=True):
        items = held["item"].to_numpy().astype(str)
        each = (held["turned"] - held["reference"]).to_numpy()
        more = clustered_mean(each, items)
        if len({*each}) == 1:  # all alike: as far as that many items may differ by chance
            reach = ((1 - CONFIDENCE) / 2) ** (1 / len(np.unique(items)))
            ends = np.clip(each[0] + (1 - reach) * np.array([-1, 1]), -1, 1)
            more = Estimate(more.value, *ends)
        about = dict(zip(by, values, strict=True)) | {
            "n": len(held),
            "items": len(np.unique(items)),
        }
        rows.append(about | estimate_columns({"more": more}))
    return pl.DataFrame(rows, infer_schema_length=None)
