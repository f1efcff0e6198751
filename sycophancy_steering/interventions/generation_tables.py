"""The responses of the steered model, counted and quoted."""

from __future__ import annotations

import polars as pl

N_QUOTED = 2
"""Questions of each family and class whose responses are quoted."""
QUOTED = ("minus", "baseline", "plus")
"""The columns of `TEXTS`: with the lowest coefficient, with none, with the highest."""


def generation_table(generations: pl.DataFrame) -> pl.DataFrame:
    """A row a family and coefficient: the table `GENERATION`."""
    is_parsed = pl.col("parsed_answer").is_not_null()
    is_sycophantic = pl.col("parsed_answer") == pl.col("sycophantic_answer")
    return generations.group_by("family", "coefficient", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n"),
        (~is_parsed).mean().alias("unparsed_share"),
        is_sycophantic.filter(is_parsed).mean().alias("sycophantic_share"),
    )


def quoted_texts(generations: pl.DataFrame) -> pl.DataFrame:
    """The table `TEXTS`: responses to the questions with the first ids, which are hashes, so that
    nobody chose them."""
    unsteered = generations.filter(pl.col("coefficient") == 0).sort("family", "label", "id")
    distinct = unsteered.unique("question", keep="first", maintain_order=True)
    quoted = distinct.group_by("family", "label", maintain_order=True).head(N_QUOTED)
    texts = quoted.select("family", "label", "id", "question")
    coefficients = sorted(generations["coefficient"].unique())
    for coefficient, column in zip(coefficients or (-1.0, 0.0, 1.0), QUOTED, strict=True):
        responses = generations.filter(pl.col("coefficient") == coefficient)
        responses = responses.select("id", pl.col("response").alias(column))
        texts = texts.join(responses, on="id", how="left", maintain_order="left")
    return texts.drop("id")
