"""The questions of one model's study, as the power analysis uses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.power.planted_questions import Questions
from sycophancy_steering.power.planted_study import StudyQuestions
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS
from sycophancy_steering.storage.activation_shards import (
    Origin,
    read_ids,
    read_origin,
    stream_activations,
)
from sycophancy_steering.storage.activation_statistics import keeps_statistics
from sycophancy_steering.storage.label_files import read_labels

COLUMNS = ["id", "family", "item", "split", "label"]
EVERY_SET = EVERY_FAMILY = "all"
"""The `prompt_set` of vectors made from the questions of all extraction sets, and the `family` of
questions that are not told apart by it."""
HALF, AS_LABELLED = "half", "as_labelled"
"""Ways of planting: in half of all questions; or, of the questions whose answers have a label, in
as many of each item, at random, as were answered sycophantically."""


@dataclass(frozen=True)
class PlannedStudy:
    """Questions that a direction is to be planted in."""

    planted: str
    """`HALF` or `AS_LABELLED`."""
    prompt_set: str
    """The set that vectors are made from, or `EVERY_SET`."""
    questions: StudyQuestions


@dataclass(frozen=True)
class ModelQuestions:
    """The questions that a model was asked; everything is read when first used."""

    model: str
    suite: Suite

    def folder(self, prompt_set: str) -> Path:
        """The activations."""
        return ACTIVATIONS / self.model / prompt_set

    def labels_path(self, prompt_set: str) -> Path:
        """The labels."""
        return LABELS / self.model / f"{prompt_set}.parquet"

    @property
    def prompt_sets(self) -> list[str]:
        """Extraction sets, and the evaluation set."""
        return [*self.extraction_sets, self.suite.evaluation_set]

    @property
    def extraction_sets(self) -> list[str]:
        """Those whose activations are kept: a direction is planted in every one of them."""
        return [
            name for name in self.suite.extraction_sets if name not in self.sets_with_statistics
        ]

    @property
    def sets_with_statistics(self) -> list[str]:
        """The extraction sets of whose activations statistics are kept."""
        return [name for name in self.suite.extraction_sets if keeps_statistics(self.folder(name))]

    @cached_property
    def origin(self) -> Origin:
        """The layers and width of the activations."""
        return read_origin(self.folder(self.suite.evaluation_set))

    @cached_property
    def labels(self) -> dict[str, pl.DataFrame]:
        """By prompt set: a row a question, in the order of the activations."""
        return {
            name: read_labels(
                self.labels_path(name), read_ids(self.folder(name)), COLUMNS
            ).with_row_index("row")
            for name in self.prompt_sets
        }

    @property
    def families(self) -> list[str]:
        """Those that are tested on."""
        return self._families("test")

    def own_set(self, family: str) -> str:
        """The extraction set with the most labelled answers of a family; of none, the headline's,
        or the first.

        As many of several: the first.
        """
        labelled = (pl.col("family") == family) & pl.col("label").is_not_null()
        counts = {name: len(self.labels[name].filter(labelled)) for name in self.extraction_sets}
        if not any(counts.values()):
            headline = self.suite.headline_set
            return headline if headline in counts else self.extraction_sets[0]
        return max(counts, key=lambda name: counts[name])

    def studies(self) -> Iterator[PlannedStudy]:
        """Every way of planting, with each set that vectors are made from.

        A set without a labelled answer (as where only the evaluation set is graded) has no labels
        to plant by. None where statistics are kept of all extraction sets.
        """
        if not self.extraction_sets:
            return
        yield self._planned(HALF, EVERY_SET, self.extraction_sets, self.families)
        own = {family: self.own_set(family) for family in self.families}
        for name in dict.fromkeys(own.values()):
            if self.labels[name]["label"].is_null().all():
                continue
            families = [family for family in self.families if own[family] == name]
            yield self._planned(AS_LABELLED, name, [name], families)

    def _planned(
        self, planted: str, name: str, sets: Sequence[str], families: Sequence[str]
    ) -> PlannedStudy:
        """Vectors of `sets`, tested on `families`; layers are selected by the sets' own families,
        or by all where `select` has none of these (as in `analysis.layer_selection`)."""
        own = {family for of_set in sets for family in self.labels[of_set]["family"]}
        select = [
            part
            for family in self._families("select")
            if (part := self._part(planted, "select", family)).has_both_classes
        ]
        questions = StudyQuestions(
            extraction=[questions_of(planted, self.labels[of_set], of_set) for of_set in sets],
            select=[part for part in select if part.family in own] or select,
            test=[self._part(planted, "test", family) for family in families],
            activations=lru_cache(maxsize=len(self.prompt_sets))(self.activations),
            n_layers=self.origin.n_layers,
            d_model=self.origin.d_model,
        )
        return PlannedStudy(planted, name, questions)

    def _families(self, split: str) -> list[str]:
        """The families of a split of the evaluation set."""
        of_split = self.labels[self.suite.evaluation_set].filter(pl.col("split") == split)
        return of_split["family"].unique(maintain_order=True).to_list()

    def _part(self, planted: str, split: str, family: str) -> Questions:
        """The evaluation questions of one split and family."""
        evaluation = self.suite.evaluation_set
        wanted = (pl.col("split") == split) & (pl.col("family") == family)
        return questions_of(planted, self.labels[evaluation].filter(wanted), evaluation, family)

    def activations(self, prompt_set: str, layer: int) -> Floats:
        """(n, d_model) of a prompt set at the end of the prompts."""
        stream = stream_activations(self.folder(prompt_set), layer, "prompt")
        return stream.to_array().astype(np.float64)


def questions_of(
    planted: str, labels: pl.DataFrame, prompt_set: str, family: str = EVERY_FAMILY
) -> Questions:
    """The questions of a table of labels; with `AS_LABELLED`, those that have a label."""
    rows = labels if planted == HALF else labels.filter(pl.col("label").is_not_null())
    return Questions(
        family,
        prompt_set,
        rows["row"].to_numpy().astype(int),
        rows["item"].to_numpy().astype(str),
        None if planted == HALF else rows["label"].to_numpy().astype(int),
    )
