"""What steering does to answers: rates and log-odds by condition.

All functions take the table `STEERED_ANSWERS` (or a part of it).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.schemas.interventions import CONDITION, DOSE_RESPONSE, TWO_LAYERS
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share
from sycophancy_steering.statistics.estimates import Estimate, row_of

SHIFT = (pl.col("log_odds_after") - pl.col("log_odds_before")).alias("shift")


def dose_response(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a condition and family: the table `DOSE_RESPONSE`; intervals are clustered by item.

    `rate_0` and `rate_1` are the sycophantic shares under the condition of the answers with label 0
    and 1 (`baseline_rate_0`, `baseline_rate_1`: without it); `rate_difference` is rate_1 - rate_0.
    `probability_0` and `probability_1` are mean probabilities of the sycophantic option, which the
    log-odds compare with the likeliest other (`baseline_probability_0`, ...: without it).
    `shift` is the mean change of the log-odds; `wrong_way_share` (of added vectors) the share of
    answers whose log-odds move against the sign of the coefficient.
    """
    rows = []
    keys = [*CONDITION, "family"]
    for values, group in answers.with_columns(SHIFT).group_by(keys, maintain_order=True):
        row: dict[str, object] = dict(zip(keys, values, strict=True))
        items, labels = group["item"].to_numpy().astype(str), group["label"].to_numpy()
        shift = group["shift"].to_numpy()
        odds = [group[f"log_odds_{when}"].to_numpy() for when in ("before", "after")]
        before, after = (log_odds > 0 for log_odds in odds)
        probabilities = [expit(log_odds) for log_odds in odds]
        row |= {"n": len(group), "n_items": len(np.unique(items))}
        estimates = {"shift": clustered_mean(shift, items)}
        if row["kind"] == "add":
            wrong_way = shift * float(group["coefficient"][0]) < 0
            estimates["wrong_way_share"] = clustered_share(wrong_way, items)
        for label in (0, 1):
            of_class = labels == label
            row[f"n_{label}"] = int(of_class.sum())
            if of_class.any():
                row[f"baseline_rate_{label}"] = float(before[of_class].mean())
                for prefix, values in zip(("baseline_", ""), probabilities, strict=True):
                    row[f"{prefix}probability_{label}"] = float(values[of_class].mean())
                estimates[f"rate_{label}"] = clustered_share(after[of_class], items[of_class])
        if len(set(labels)) == 2:
            estimates["rate_difference"] = class_difference(after.astype(float), labels, items)
        rows.append(row | row_of(estimates))
    return pl.DataFrame(rows, schema=DOSE_RESPONSE.columns)


def class_difference(
    values: Floats, labels: NDArray[np.integer], items: NDArray[np.generic]
) -> Estimate:
    """Mean of `values` (n,) with label 1 minus that with label 0, clustered by item."""
    weights = np.where(labels == 1, 1 / (labels == 1).sum(), -1 / (labels == 0).sum())
    means = np.where(labels == 1, values[labels == 1].mean(), values[labels == 0].mean())
    value = values[labels == 1].mean() - values[labels == 0].mean()
    # The influence of each answer, scaled so that the error of its mean is the error of `value`.
    influence = clustered_mean(len(values) * weights * (values - means), items)
    half_width = float(influence.high - influence.value)
    return Estimate(np.array(value), np.array(value - half_width), np.array(value + half_width))


def two_layers(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a family and pair of layers: the table `TWO_LAYERS`.

    `nonadditivity` is the shift of the log-odds from adding the vector at both layers, minus the
    sum of the shifts from adding it at either; its intervals hold simultaneously for all rows.
    """
    shifts = answers.with_columns(SHIFT)
    single = shifts.filter(pl.col("second_layer").is_null()).select("id", "layer", first="shift")
    second = single.select("id", second_layer="layer", second="first")
    pairs = (
        shifts.filter(pl.col("second_layer").is_not_null())
        .join(single, on=["id", "layer"], maintain_order="left")
        .join(second, on=["id", "second_layer"], maintain_order="left")
        .with_columns(nonadditivity=pl.col("shift") - pl.col("first") - pl.col("second"))
    )
    rows = []
    keys = ["vector", "family", "layer", "second_layer", "coefficient"]
    n_intervals = pairs.select(keys).n_unique()
    for values, group in pairs.group_by(keys, maintain_order=True):
        items = group["item"].to_numpy().astype(str)
        nonadditivity = group["nonadditivity"].to_numpy()
        estimates = {
            "shift": clustered_mean(group["shift"].to_numpy(), items),
            "nonadditivity": clustered_mean(nonadditivity, items, n_intervals),
        }
        counts = {"n": len(group), "n_items": len(np.unique(items))}
        rows.append(dict(zip(keys, values, strict=True)) | counts | row_of(estimates))
    return pl.DataFrame(rows, schema=TWO_LAYERS.columns)
