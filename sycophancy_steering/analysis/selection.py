"""The best of many ways: chosen on `select`, reported on `test`, held against chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from sycophancy_steering.foundation.errors import InputError

TRIED = ["vector", "layer"]
"""What is chosen: a way of making vectors (method, set, where it is made), and the layer."""
EACH = ["family", "position"]
"""What it is chosen for: a family, read before the answer or after it."""


@dataclass(frozen=True)
class Selection:
    """`selection` in params.yaml."""

    studies: int
    """How many times the whole choice is repeated with vectors from shuffled pairs."""
    deals: int
    """How many times the items' signs are dealt anew, for p-values over all cells tried."""

    def __post_init__(self) -> None:
        for key in ("studies", "deals"):
            if (value := getattr(self, key)) < 19:
                raise InputError(
                    f"params.yaml: selection.{key}: expected at least 19, or no p-value can be "
                    f"0.05, found {value}"
                )


def choose(tried: pl.DataFrame) -> pl.DataFrame:
    """For `EACH`, what of all that was `TRIED` does best on `select`, with its AUROC on `test`.

    `tried` holds these columns, `split`, `auroc`, and whatever else is to be kept of the chosen
    rows of `test`. The first of equals; an undefined AUROC is never chosen.
    """
    known = tried.filter(pl.col("auroc").is_not_nan())
    descending = [False] * len(EACH) + [True] + [False] * len(TRIED)
    best = (
        known.filter(pl.col("split") == "select")
        .sort([*EACH, "auroc", *TRIED], descending=descending)
        .unique(EACH, keep="first", maintain_order=True)
    )
    test = known.filter(pl.col("split") == "test")
    keys = [*EACH, *TRIED]
    return best.select(keys).join(test, on=keys, how="inner", maintain_order="left")


def chosen_by_chance(tried: pl.DataFrame) -> pl.DataFrame:
    """What `choose` finds in each `study` of vectors from shuffled pairs: `EACH` and `auroc`."""
    return pl.concat(
        choose(held.drop("study")).select(pl.lit(study).alias("study"), *EACH, "auroc")
        for (study,), held in tried.group_by("study", maintain_order=True)
    )


def beaten(found: float, by_chance: np.ndarray) -> float:
    """How often chance, with what was found as one of its studies, does as well as `found`."""
    return (1 + int((by_chance >= found - 1e-12).sum())) / (1 + len(by_chance))


def selected_by_chance(by_chance: np.ndarray, level: float = 0.05) -> float:
    """The share of studies of shuffled pairs whose p-value, by the others, is below `level`."""
    ordered = np.sort(by_chance)
    others = len(ordered) - np.searchsorted(ordered, by_chance - 1e-12)  # itself among them
    return float((others / len(ordered) < level).mean())
