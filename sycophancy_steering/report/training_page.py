"""reports/tuning.md: steering beside fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.report.templates import Section, render_all
from sycophancy_steering.report.training import (
    comparison_section,
    methods_section,
    training_costs_section,
    training_facts,
    weak_labels_section,
)
from sycophancy_steering.report.training_differences import (
    after_training_section,
    training_difference_section,
)


@dataclass(frozen=True)
class TrainingTables:
    """What fine-tuning one model showed: tables of schemas/tuning.py."""

    methods: pl.DataFrame
    """The share of answers that each method changes."""
    differences: pl.DataFrame
    """That share minus the one of steering."""
    side_effects: pl.DataFrame
    weak_vectors: pl.DataFrame
    """AUROCs of vectors from mislabelled pairs."""
    teachers: pl.DataFrame
    """The prompts that were distilled."""
    cosines: pl.DataFrame
    """Cosines of training differences with the steering vector."""
    aurocs: pl.DataFrame
    """AUROCs of training differences."""
    readouts: pl.DataFrame
    """AUROCs of the steering vector in trained models."""
    vector: str
    """The steering vector: SET/VARIANT."""
    families: Sequence[str]
    """Those of its prompt set."""
    layer: int
    """The layer selected for it."""


def training_page(tables: Mapping[str, TrainingTables], settings: TuningSettings) -> str:
    """The page in Markdown, from the tables of each model."""
    sections: list[Section | None] = [Section("training_title", {})]
    for model, of_model in tables.items():
        sections += model_sections(model, of_model, settings)
    return render_all(sections)


def model_sections(
    model: str, tables: TrainingTables, settings: TuningSettings
) -> list[Section | None]:
    """All sections about one model; None for those that have nothing to show."""
    facts = training_facts(settings, tables.vector) | {"model": model}
    return [
        methods_section(tables.methods, tables.families, facts),
        comparison_section(tables.differences, tables.teachers, tables.families),
        training_costs_section(tables.side_effects),
        weak_labels_section(tables.methods, tables.weak_vectors, settings.weak_labeller),
        training_difference_section(tables.cosines, tables.aurocs, tables.layer, tables.vector),
        after_training_section(tables.readouts, tables.layer),
    ]
