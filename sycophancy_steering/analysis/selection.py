"""The best of many vectors and layers: selected on `select`, reported on `test`, against chance."""

from __future__ import annotations

import numpy as np
import polars as pl

CANDIDATE = ["vector", "layer"]
"""What is selected."""
TARGET = ["family", "position"]
"""What it is selected for: a family, read before the answer or after it."""


def select_best(candidates: pl.DataFrame) -> pl.DataFrame:
    """For each `TARGET`, the row of `test` of the `CANDIDATE` with the highest AUROC on `select`.

    `candidates` has these columns, `split`, `auroc`, and any others that the result is to keep. The
    first of equals; an undefined AUROC is never selected.
    """
    defined = candidates.filter(pl.col("auroc").is_not_nan())
    descending = [False] * len(TARGET) + [True] + [False] * len(CANDIDATE)
    best = (
        defined.filter(pl.col("split") == "select")
        .sort([*TARGET, "auroc", *CANDIDATE], descending=descending)
        .unique(TARGET, keep="first", maintain_order=True)
    )
    test = defined.filter(pl.col("split") == "test")
    keys = [*TARGET, *CANDIDATE]
    return best.select(keys).join(test, on=keys, how="inner", maintain_order="left")


def best_of_shuffled_pairs(candidates: pl.DataFrame) -> pl.DataFrame:
    """For each shuffle and `TARGET`, the row of SHUFFLED_PAIRS with the highest AUROC on `select`,
    of all extraction sets; the first of equals."""
    keys = ["shuffle", *TARGET]
    best = candidates.sort("select_auroc", descending=True, maintain_order=True)
    return best.unique(keys, keep="first", maintain_order=True)


def permutation_p_value(observed: float, null: np.ndarray) -> float:
    """The share of `null` values, the observed one included, that reach `observed`."""
    return (1 + int((null >= observed - 1e-12).sum())) / (1 + len(null))


def false_positive_rate(null: np.ndarray, level: float = 0.05) -> float:
    """The share of `null` values whose own p-value, by the others, is below `level`."""
    ordered = np.sort(null)
    reached = len(ordered) - np.searchsorted(ordered, null - 1e-12)  # itself among them
    return float((reached / len(ordered) < level).mean())
