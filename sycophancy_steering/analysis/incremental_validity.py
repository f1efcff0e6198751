"""What a projection adds to what is there without it: the words of the prompt, the logit margin.

Every model is fitted on `select` and tried on `test`. So that the words cannot be learned by heart,
what they add up to on `select` itself is told by models fitted on other items.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from sycophancy_steering.statistics.auroc_difference import auroc_difference
from sycophancy_steering.statistics.discrimination import Estimate, clustered_auroc
from sycophancy_steering.statistics.text_baseline import joined, text_odds
from sycophancy_steering.storage.cell_files import EVERY_SOURCE

ALL = "all together"
"""The family of rows that pool all families: there, telling families apart helps too."""
WAYS = {
    "text": ("text",),
    "margin": ("margin",),
    "projection": ("projection",),
    "text + projection": ("text", "projection"),
    "margin + projection": ("margin", "projection"),
}
"""What is tried, and from which features."""


def gains(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a group and way of predicting: its AUROC on `test`, and what the projection adds.

    `answers` holds, for each labelled answer, `family`, `source`, `split`, `item`, `label`, `text`,
    `margin` and `projection`. Groups are families, the sources within a family that has several
    (within one type of prompt, nothing is gained by telling types apart), and all answers. A group
    whose answers are all alike in either split has no row.
    """
    rows = []
    for family, source, held in groups(answers):
        select, test = (held.filter(pl.col("split") == split) for split in ("select", "test"))
        if min(part["label"].n_unique() for part in (select, test)) < 2:
            continue
        rows += [{"family": family, "source": source} | row for row in _gains(select, test)]
    kinds = {"family": pl.String, "source": pl.String, "way": pl.String}
    kinds |= {"n": pl.Int64, "items": pl.Int64}
    ends = [f"{name}{end}" for name in ("auroc", "gain") for end in ("", "_low", "_high")]
    return pl.DataFrame(rows, schema=kinds | dict.fromkeys(ends, pl.Float64))


def groups(answers: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Family, source and answers: each family, each of its sources if it has several, and all."""
    families = 0
    for (family,), held in answers.group_by("family", maintain_order=True):
        families += 1
        yield str(family), EVERY_SOURCE, held
        if held["source"].n_unique() > 1:
            for (source,), part in held.group_by("source", maintain_order=True):
                yield str(family), str(source), part
    if families > 1:
        yield ALL, EVERY_SOURCE, answers


def _gains(select: pl.DataFrame, test: pl.DataFrame) -> list[dict[str, object]]:
    labels, told = select["label"].to_numpy().astype(int), test["label"].to_numpy().astype(int)
    items = test["item"].to_numpy().astype(str)
    own, new = text_odds(
        select["text"].to_list(),
        labels,
        select["item"].to_numpy().astype(str),
        test["text"].to_list(),
    )
    learned = {name: select[name].to_numpy() for name in ("margin", "projection")} | {"text": own}
    tried = {name: test[name].to_numpy() for name in ("margin", "projection")} | {"text": new}
    scores = {
        way: joined(
            np.stack([learned[name] for name in names], axis=1),
            labels,
            np.stack([tried[name] for name in names], axis=1),
        )
        for way, names in WAYS.items()
    }
    rows = []
    for way, names in WAYS.items():
        area = clustered_auroc(scores[way][None], told, items)
        gain = Estimate(*(np.full(1, np.nan) for _ in range(3)))
        if len(names) > 1:
            gain = auroc_difference(scores[way][None], scores[names[0]], told, items)
        row: dict[str, object] = {"way": way, "n": len(told), "items": len(np.unique(items))}
        for name, each in (("auroc", area), ("gain", gain)):
            ends = {"": each.value, "_low": each.low, "_high": each.high}
            row |= {f"{name}{end}": float(value[0]) for end, value in ends.items()}
        rows.append(row)
    return rows
