"""`reports/scores/MODEL/SET.parquet`: what each vector reads of each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import polars as pl

from sycophancy_steering.analysis.readouts import project
from sycophancy_steering.foundation.array_stream import Stream


def answer_scores(
    layers: pl.DataFrame,
    vectors: Mapping[str, np.ndarray],
    responses: pl.DataFrame,
    read_layer: Callable[[int, str], Stream],
) -> Iterator[pl.DataFrame]:
    """The read-outs of each labelled answer, at each vector's chosen layers: some at a time."""
    about = ["id", "source", "family", "item", "split", "label"]
    for (position, layer), held in layers.group_by("position", "layer", maintain_order=True):
        names = held["name"].to_list()
        made = np.stack([vectors[name][layer] for name in names]).astype(float)
        for at, block in read_layer(int(str(layer)), str(position)).placed():
            read = project(Stream.of(block), made)
            asked = responses[at].select(*about)
            yield pl.concat(
                asked.select(
                    pl.lit(name).alias("name"),
                    pl.lit(position).alias("position"),
                    pl.lit(layer).alias("layer"),
                    *about,
                    pl.Series("projection", projection),
                    pl.Series("cosine", cosine),
                )
                for name, projection, cosine in zip(names, *read, strict=True)
            ).filter(pl.col("label").is_not_null())
