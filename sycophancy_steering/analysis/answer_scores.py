"""The read-outs of every labelled answer, for each vector at its selected layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from sycophancy_steering.analysis.evaluation_set import EvaluationSet
from sycophancy_steering.analysis.readouts import read_out
from sycophancy_steering.foundation.array_stream import ArrayStream

QUESTION_COLUMNS = ["id", "source", "family", "item", "split", "label"]


def answer_scores(
    selected_layers: pl.DataFrame, vectors: Mapping[str, np.ndarray], evaluation: EvaluationSet
) -> Iterator[pl.DataFrame]:
    """Parts of the table `SCORES`: one row a labelled answer, vector and position.

    `selected_layers` (`vector`, `position`, `layer`) are those of `select_layers`.
    """
    groups = selected_layers.group_by("position", "layer", maintain_order=True)
    for (position, layer), selected in groups:
        names = selected["vector"].to_list()
        stacked = np.stack([vectors[name][layer] for name in names]).astype(float)
        stream = evaluation.activations(int(str(layer)), str(position))
        for rows, block in stream.indexed_blocks():
            projections, cosines = read_out(ArrayStream.from_array(block), stacked)
            answers = evaluation.labels[rows].select(*QUESTION_COLUMNS)
            yield pl.concat(
                answers.select(
                    pl.lit(name).alias("vector"),
                    pl.lit(position).alias("position"),
                    pl.lit(layer).alias("layer"),
                    *QUESTION_COLUMNS,
                    pl.Series("projection", projection),
                    pl.Series("cosine", cosine),
                )
                for name, projection, cosine in zip(names, projections, cosines, strict=True)
            ).filter(pl.col("label").is_not_null())
