"""About to be sycophantic against having just been: is it one direction?"""

from __future__ import annotations

import polars as pl
from scipy.special import ndtri

from sycophancy_steering.statistics.discrimination import LEVEL

TENSES = {"mean_difference_prompt": "about to", "mean_difference": "just did"}
"""The vectors of either tense: of answers that the model went on to give, at the prompt's end; and
of answers that were forced into its mouth."""
READ_IN = {
    "prompt": ("mean_difference_prompt", "before the answer"),
    "continuation": ("mean_difference", "after it"),
}
"""Where states are read, the vector whose own place that is, and the place in words."""
ABOUT_TO, JUST_DID = "prompt", "answer"
"""Where the vectors of either tense are made."""


def about_to_and_just_did(agreement: pl.DataFrame) -> pl.DataFrame:
    """Those rows of `agreements` that hold the end of the prompt against the (forced) answer, the
    first always `ABOUT_TO`; of sets of one family each, within that family and across.

    Intervals are widened so as to hold for all layers at once (Sidak). Where a direction may be
    nothing but noise there is no cosine.
    """
    other = {name: f"other_{name}" for name in ("prompt_set", "position", "family")}
    swapped = agreement.rename(other | {to: name for name, to in other.items()})
    both = pl.concat([agreement, swapped.select(agreement.columns)])
    same_family = pl.col("family") == pl.col("other_family")
    layers = agreement["layer"].n_unique()
    wider = (
        float(ndtri((1 + LEVEL ** (1 / layers)) / 2) / ndtri((1 + LEVEL) / 2)) if layers else 1.0
    )
    ends = [
        (pl.col("agreement") + (pl.col(end) - pl.col("agreement")) * wider)
        .fill_nan(None)
        .alias(end)
        for end in ("low", "high")
    ]
    return both.with_columns(ends).filter(
        pl.col("position") == ABOUT_TO,
        pl.col("other_position") == JUST_DID,
        pl.col("family").fill_null("") != "",
        pl.col("other_family").fill_null("") != "",
        ~same_family | (pl.col("prompt_set") == pl.col("other_prompt_set")),
    )


def surest(held: pl.DataFrame) -> dict[str, float]:
    """The row whose interval begins highest; any, where none has one."""
    return held.sort("low", descending=True, nulls_last=True, maintain_order=True).row(
        0, named=True
    )


def sets_of_families(agreement: pl.DataFrame) -> dict[str, str]:
    """The set that each family's own vectors come from, in what `about_to_and_just_did` gives."""
    own = agreement.filter(pl.col("prompt_set") == pl.col("other_prompt_set"))
    return dict(own.select("family", "prompt_set").unique(maintain_order=True).iter_rows())


def readings(cells: pl.DataFrame, sets: dict[str, str]) -> pl.DataFrame:
    """What the vector of either tense reads of its own family, before the answer and after it:
    `made` (a key of `TENSES`) and the columns of `cells`, layer by layer.

    `sets` names the set that each family's own vectors come from. Families whose vectors are not
    among `variants` have no rows.
    """
    tables = []
    for family, prompt_set in sets.items():
        for made in TENSES:
            held = cells.filter(
                pl.col("name") == f"{prompt_set}/{made}",
                pl.col("family") == family,
                pl.col("position").is_in(list(READ_IN)),
            )
            tables.append(held.with_columns(pl.lit(made).alias("made")))
    return pl.concat(tables) if tables else cells.clear().with_columns(pl.lit("").alias("made"))
