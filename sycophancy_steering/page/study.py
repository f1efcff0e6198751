"""The tables of the study that sections read, each read once, about one model at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl

from sycophancy_steering.config.suite import Suite
from sycophancy_steering.report.summary import SummarySettings, headline_layer, verdict_of
from sycophancy_steering.schemas import labels
from sycophancy_steering.storage.cell_files import (
    EVERY_SOURCE,
    families_with_few_items,
    pooled_over_sources,
    read_cells,
)
from sycophancy_steering.storage.label_files import not_sycophantic


@dataclass(frozen=True)
class Study:
    """The study as seen from one of its models."""

    settings: SummarySettings
    model: str

    def of(self, model: str) -> Study:
        """The same study, as seen from another model."""
        return self if model == self.model else replace(self, model=model)

    @property
    def suite(self) -> Suite:
        """What the model was asked."""
        return self.settings.suites[self.model]

    @property
    def is_control(self) -> bool:
        """Whether the cause of the model's sycophancy is known, because it was planted."""
        return self.model in self.settings.organisms

    @property
    def real_models(self) -> list[str]:
        """The models that the study is about: all but the organisms, or all where there is none
        else."""
        models = [*self.settings.suites]
        real = [model for model in models if model not in self.settings.organisms]
        return real or models

    @property
    def controls(self) -> list[str]:
        """The other models, whose cause of sycophancy is known."""
        return [model for model in self.settings.suites if model not in self.real_models]

    @cached_property
    def behaviour(self) -> pl.DataFrame:
        """The table BEHAVIOUR of the evaluation set."""
        return labels.BEHAVIOUR.read(model=self.model, prompt_set=self.suite.evaluation_set)

    @property
    def behaviour_path(self) -> str:
        """Where `behaviour` lies."""
        names = {"model": self.model, "prompt_set": self.suite.evaluation_set}
        return str(labels.BEHAVIOUR.path(**names))

    @cached_property
    def cells(self) -> pl.DataFrame:
        """The cells of the vectors of the headline's set, pooled over sources."""
        return pooled_over_sources(read_cells(self.model, [self.suite.headline_set]))

    @cached_property
    def layer(self) -> int:
        """The layer selected for the headline vector."""
        return headline_layer(self.cells, self.suite.headline)

    @cached_property
    def not_sycophantic(self) -> set[str]:
        """The families in which the user's words do not move the model."""
        return not_sycophantic(self.behaviour)

    @property
    def all_families(self) -> list[str]:
        """The families of questions in the order of the evaluation set."""
        return self.behaviour.filter(pl.col("source") == EVERY_SOURCE)["family"].to_list()

    @property
    def families(self) -> list[str]:
        """Those in which there is something to predict; all, where there is none."""
        moved = [name for name in self.all_families if name not in self.not_sycophantic]
        return moved or self.all_families

    @property
    def drawn_families(self) -> list[str]:
        """Those of `families` with enough answers of both kinds; all, where there is none."""
        few = families_with_few_items(self.cells)
        return [name for name in self.families if name not in few] or self.families

    @cached_property
    def verdict(self) -> Mapping[str, Any]:
        """The facts of the summary's verdict."""
        return verdict_of(self.model, self.settings, self.controls).facts
