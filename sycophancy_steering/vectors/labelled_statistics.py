"""One model's labelled answers to a prompt set of whose activations only statistics are kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.moments import Moments, MomentStream
from sycophancy_steering.schemas.activations import STATISTICS
from sycophancy_steering.schemas.labels import UNLABELLED
from sycophancy_steering.storage.activation_shards import Origin
from sycophancy_steering.storage.activation_statistics import (
    ANSWER,
    DIFFERENCE,
    MATCHING,
    NOT_MATCHING,
    StatisticsIndex,
    moments_path,
    read_index,
    read_moments,
)
from sycophancy_steering.vectors.contrast import AnswerGroup, Contrast, MethodNotApplicable
from sycophancy_steering.vectors.natural_answers import check_classes

NO_NAMES = np.array([], dtype=object)


@dataclass(frozen=True)
class LabelledStatistics:
    """The answers of one model to one prompt set, with labels and statistics of activations."""

    folder: Path
    """Of the statistics."""
    index: StatisticsIndex
    labels: dict[str, int | None]
    """Label of each group of answers."""

    @property
    def origin(self) -> Origin:
        """Which model they are of."""
        return self.index.origin

    @property
    def has_options(self) -> bool:
        """Whether answers were forced; chats without options have none."""
        return ANSWER in self.index.counts

    def class_sizes(self, variant: Variant) -> tuple[int, int]:
        """How many sycophantic and other answers `variant` makes a vector from. Raises
        MethodNotApplicable."""
        self._check(variant)
        counts = self.index.counts.get(variant.position, {})
        if variant.position == ANSWER:
            return counts[MATCHING], counts[NOT_MATCHING]
        sycophantic, other = (
            sum(n for name, n in counts.items() if self.labels[name] == label) for label in (1, 0)
        )
        check_classes(sycophantic, other)
        return sycophantic, other

    def contrast(self, variant: Variant, layer: int) -> Contrast:
        """The moments of the two groups at `layer` that `variant` makes a vector from. Raises
        MethodNotApplicable."""
        self.class_sizes(variant)
        groups = read_moments(moments_path(self.folder, variant.position, layer))
        rng = np.random.default_rng([variant.seed, layer])
        if variant.position == ANSWER:
            return Contrast(
                _side(groups, MATCHING),
                _side(groups, NOT_MATCHING),
                paired=True,
                rng=rng,
                pair_differences=MomentStream(groups[DIFFERENCE]),
            )
        sycophantic, other = (
            [moments for name, moments in groups.items() if self.labels[name] == label]
            for label in (1, 0)
        )
        return Contrast(_group(sycophantic), _group(other), paired=False, rng=rng)

    def _check(self, variant: Variant) -> None:
        if variant.position == ANSWER and not self.has_options:
            raise MethodNotApplicable("chats without options have no answers to force")
        if variant.n_pairs != "all" or variant.compared == "within_items":
            raise MethodNotApplicable(
                "single answers are needed, and only statistics of them are kept"
            )


def _group(parts: list[Moments]) -> AnswerGroup:
    """All answers of one class."""
    return AnswerGroup(MomentStream(reduce(Moments.merge, parts)), NO_NAMES, NO_NAMES)


def _side(groups: dict[str, Moments], side: str) -> AnswerGroup:
    """One side of the contrast pairs, with its means by letter."""
    letters: dict[str, tuple[int, Floats]] = {
        name.removeprefix(f"{side} "): (moments.count, moments.mean)
        for name, moments in groups.items()
        if name.startswith(f"{side} ")
    }
    return AnswerGroup(MomentStream(groups[side]), NO_NAMES, NO_NAMES, letters)


def read_labelled_statistics(activations: Path, labels: Path) -> LabelledStatistics:
    """The answers of a folder of statistics, with their labels.

    Raises InputError for files that are missing, unreadable or about other answers, and where
    answers of one group have different labels, as those of graders may.
    """
    index = read_index(activations / STATISTICS)
    sources = [*index.grouped_by, "description"]
    if not labels.exists():
        raise InputError(f"{labels}: not found; run `dvc repro labels` or `dvc pull`")
    tallies = (
        pl.scan_parquet(labels)
        .select(
            pl.concat_str(
                pl.when("counts").then(pl.col(source)).cast(pl.String).fill_null(UNLABELLED)
                for source in sources
            ).alias("group"),
            "label",
            "label_source",
        )
        .group_by("group")
        .agg(
            pl.len(),
            pl.col("label").n_unique().alias("n_labels"),
            pl.col("label", "label_source").first(),
        )
        .collect()
    )
    counts = index.counts["prompt"]
    if dict(tallies.select("group", "len").rows()) != counts:
        raise InputError(
            f"{labels}: labels of other answers than the activations; run `dvc repro labels`"
        )
    for row in tallies.filter(pl.col("n_labels") > 1).iter_rows(named=True):
        raise InputError(
            f"{labels}: {row['label_source']} labels answers differently that {activations} keeps "
            f"statistics of as one group; expected {', '.join(index.grouped_by)}, or prompt_set."
            f"{activations.name}.keep: activations"
        )
    return LabelledStatistics(activations, index, dict(tallies.select("group", "label").rows()))
