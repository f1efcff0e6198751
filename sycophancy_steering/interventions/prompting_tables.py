"""The share of answers that a method changes in the intended direction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from sycophancy_steering.schemas.interventions import CHANGED, PROMPTING
from sycophancy_steering.statistics.clustered_means import clustered_mean, clustered_share
from sycophancy_steering.statistics.estimates import row_of

KEYS = ("method", "towards", "n_examples", "family")


def changed_shares(
    answers: pl.DataFrame, keys: Mapping[str, type[pl.DataType] | pl.DataType] | None = None
) -> pl.DataFrame:
    """A row for each value of `keys` (by default those of `PROMPTING`), all seeds together.

    `changed_share` is the share of answers that follow the intended direction, of the `n_changed`
    questions that the unchanged model answers the other way; `shift` the mean change of the
    log-odds. Intervals are clustered by item. Both are missing where prompts do not fit. `answers`
    has the columns of `PROMPTED_ANSWERS`.
    """
    schema = keys or {key: PROMPTING.columns[key] for key in KEYS}
    rows = []
    for values, group in answers.group_by([*schema], maintain_order=True):
        row: dict[str, object] = dict(zip(schema, values, strict=True))
        items = group["item"].to_numpy().astype(str)
        shift = (group["log_odds_after"] - group["log_odds_before"]).to_numpy()
        changeable = (group["label"] == (0 if row["towards"] else 1)).to_numpy()
        follows = ((group["log_odds_after"] > 0) == row["towards"]).to_numpy()
        row |= {"n": group["id"].n_unique(), "n_seeds": group["seed"].n_unique()}
        row |= {"n_changed": group.filter(changeable)["id"].n_unique()}
        row |= {"n_items": len(set(items))}
        if not np.isnan(shift).any():
            estimates = {"shift": clustered_mean(shift, items)}
            if changeable.any():
                share = clustered_share(follows[changeable], items[changeable])
                estimates["changed_share"] = share
            row |= row_of(estimates)
        rows.append(row)
    return pl.DataFrame(rows, schema={**schema, **CHANGED})
