"""Anticipation against record: "about to be sycophantic" and "just was", one direction or two?"""

from __future__ import annotations

import polars as pl
from scipy.special import ndtri

from sycophancy_steering.statistics.estimates import CONFIDENCE

VARIANT_WORDS = {"mean_difference_prompt": "anticipation", "mean_difference": "record"}
"""Anticipation: at the end of the prompt, from the answers that the model went on to give. Record:
from answers that were forced on it."""
READOUTS = {
    "prompt": ("mean_difference_prompt", "before the answer"),
    "continuation": ("mean_difference", "after it"),
}
"""By position read: the variant extracted on the same side of the answer, and words."""
ANTICIPATION_POSITION, RECORD_POSITION = "prompt", "answer"
"""Where the vectors of each are extracted."""


def anticipation_against_record(agreement: pl.DataFrame) -> pl.DataFrame:
    """The rows of AGREEMENT that compare anticipation (first) with record (`other_`).

    Of sets of one family each, within that family and across. Intervals are widened so that they
    hold for all layers at once (Sidak). Where a direction may be only noise, the cosine is null.
    """
    other = {name: f"other_{name}" for name in ("prompt_set", "position", "family")}
    swapped = agreement.rename(other | {to: name for name, to in other.items()})
    both = pl.concat([agreement, swapped.select(agreement.columns)])
    same_family = pl.col("family") == pl.col("other_family")
    value = pl.col("noise_free_cosine")
    widening = _widening(agreement["layer"].n_unique())
    bounds = [
        (value + (pl.col(bound) - value) * widening).fill_nan(None).alias(bound)
        for bound in ("noise_free_cosine_low", "noise_free_cosine_high")
    ]
    return both.with_columns(bounds).filter(
        pl.col("position") == ANTICIPATION_POSITION,
        pl.col("other_position") == RECORD_POSITION,
        pl.col("family").fill_null("") != "",
        pl.col("other_family").fill_null("") != "",
        ~same_family | (pl.col("prompt_set") == pl.col("other_prompt_set")),
    )


def _widening(n_layers: int) -> float:
    """How much wider simultaneous normal intervals are than a single one."""
    if not n_layers:
        return 1.0
    return float(ndtri((1 + CONFIDENCE ** (1 / n_layers)) / 2) / ndtri((1 + CONFIDENCE) / 2))


def most_certain_row(agreement: pl.DataFrame) -> dict[str, float]:
    """The row whose interval begins highest; any row, where none has an interval."""
    return agreement.sort(
        "noise_free_cosine_low", descending=True, nulls_last=True, maintain_order=True
    ).row(0, named=True)


def own_sets_of_families(agreement: pl.DataFrame) -> dict[str, str]:
    """Family -> the set of its own vectors, in the result of `anticipation_against_record`."""
    own = agreement.filter(pl.col("prompt_set") == pl.col("other_prompt_set"))
    return dict(own.select("family", "prompt_set").unique(maintain_order=True).iter_rows())


def anticipation_and_record_aurocs(cells: pl.DataFrame, sets: dict[str, str]) -> pl.DataFrame:
    """The cells of both variants on their own family, before and after the answer, by layer.

    Adds `variant` (a key of `VARIANT_WORDS`) to the columns of `cells`. `sets` names the set of
    each family's own vectors. Families without these variants have no rows.
    """
    tables = []
    for family, prompt_set in sets.items():
        for variant in VARIANT_WORDS:
            own = cells.filter(
                pl.col("vector") == f"{prompt_set}/{variant}",
                pl.col("family") == family,
                pl.col("position").is_in(list(READOUTS)),
            )
            tables.append(own.with_columns(pl.lit(variant).alias("variant")))
    return pl.concat(tables) if tables else cells.clear().with_columns(pl.lit("").alias("variant"))
