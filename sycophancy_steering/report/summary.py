"""The reports in Markdown: a summary of the study on one screen, and a page for each model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from sycophancy_steering.analysis.anticipation import (
    anticipation_against_record,
    anticipation_and_record_aurocs,
    own_sets_of_families,
)
from sycophancy_steering.config.interventions import InterventionSettings
from sycophancy_steering.config.params import CrossModelPair
from sycophancy_steering.config.reading import read_names, read_section
from sycophancy_steering.config.suite import Suite, read_models, read_suite
from sycophancy_steering.report.ablation import ablation_section
from sycophancy_steering.report.analysis import (
    incremental_validity_section,
    sample_efficiency_section,
    transfer_section,
)
from sycophancy_steering.report.anticipation import anticipation_section
from sycophancy_steering.report.behaviour import behaviour_section
from sycophancy_steering.report.causes import causes_section, prompting_section
from sycophancy_steering.report.comparison import selection_section, variance_components_section
from sycophancy_steering.report.controls import controls_section
from sycophancy_steering.report.labels import labels_section
from sycophancy_steering.report.large_dimensions import large_dimensions_section
from sycophancy_steering.report.monitor import monitor_section
from sycophancy_steering.report.power import power_section
from sycophancy_steering.report.predictivity import cross_model_section, predictivity_section
from sycophancy_steering.report.steering import (
    SteeringFacts,
    causal_section,
    generation_section,
    not_steered,
    side_effects_section,
    steering_section,
)
from sycophancy_steering.report.templates import Section, render_all
from sycophancy_steering.report.vectors import (
    kept_statistics_section,
    reliability_section,
    skipped_variants_section,
    tokens_section,
    variance_section,
)
from sycophancy_steering.report.verdict import Findings, verdict_section
from sycophancy_steering.schemas import analysis, comparison, interventions, labels
from sycophancy_steering.schemas.controls import CONTROLS
from sycophancy_steering.schemas.paths import VECTORS
from sycophancy_steering.schemas.power import POWER
from sycophancy_steering.storage.cell_files import read_cells, read_cross_model_cells
from sycophancy_steering.storage.label_files import not_sycophantic
from sycophancy_steering.storage.vector_files import read_variant_index


@dataclass(frozen=True)
class SummarySettings:
    """What the summary takes from params.yaml."""

    suites: Mapping[str, Suite]
    """The suite that each model is studied on."""
    cross_model: Sequence[CrossModelPair]
    has_controls: bool
    organisms: Collection[str]
    """Models whose cause is known, in which nothing is planted besides."""
    interventions: InterventionSettings


def read_settings() -> SummarySettings:
    """The settings of params.yaml. Raises InputError."""
    return SummarySettings(
        suites={model: read_suite(model) for model in read_models()},
        cross_model=read_section(list[CrossModelPair], "cross_model"),
        has_controls=bool(read_names("controls", empty=True)),
        organisms=read_names("organisms", empty=True),
        interventions=read_section(InterventionSettings, "interventions"),
    )


def summary(settings: SummarySettings) -> str:
    """reports/summary.md: the verdict on each model whose cause is not known, and the controls.

    Where all causes are known, the verdict is on the first. Raises InputError where a table is
    missing.
    """
    models = [*settings.suites]
    unknown = [model for model in models if model not in settings.organisms] or models[:1]
    controls = [model for model in models if model not in unknown] if settings.has_controls else []
    sections = [Section("title", {})]
    sections += [verdict_of(model, settings, controls) for model in unknown]
    if settings.has_controls:
        sections.append(controls_section(CONTROLS.read()))
    sections.append(Section("details", {"models": models}))
    return render_all(sections)


def model_page(model: str, settings: SummarySettings) -> str:
    """reports/models/MODEL.md: everything about one model, with nulls beside every number.

    Raises InputError where a table is missing.
    """
    return render_all(model_sections(model, settings.suites[model], settings))


def verdict_of(model: str, settings: SummarySettings, controls: Sequence[str]) -> Section:
    """What the study found about one model, in a few lines."""
    suite = settings.suites[model]
    of_model = pl.col("model") == model
    findings = Findings(
        behaviour=labels.BEHAVIOUR.read(model=model, prompt_set=suite.evaluation_set),
        cells=read_cells(model, [suite.headline_set]),
        incremental_validity=analysis.INCREMENTAL_VALIDITY.read(model=model),
        selected=comparison.SELECTED.read().filter(of_model),
        dose_response=interventions.DOSE_RESPONSE.read(model=model),
        power=None if model in settings.organisms else POWER.read(model=model),
    )
    return verdict_section(model, suite.headline, findings, controls)


def model_sections(model: str, suite: Suite, settings: SummarySettings) -> list[Section | None]:
    """All sections about one model; None for those that have nothing to show."""
    cells = read_cells(model, [suite.headline_set])
    names = {"model": model, "prompt_set": suite.evaluation_set}
    behaviour = labels.BEHAVIOUR.read(**names)
    sections: list[Section | None] = [behaviour_section(model, behaviour)]
    nothing = not_sycophantic(behaviour)
    sections.append(predictivity_section(model, cells, suite.headline, nothing))
    if model not in settings.organisms:
        sections.append(power_section(model, POWER.read(model=model)))
    if suite.neutral_set:
        sections.append(
            monitor_section(
                analysis.MONITOR.read(model=model), suite.headline, best_vectors(model), nothing
            )
        )
    sections += analysis_sections(model, cells, suite, nothing)
    sections += consistency_sections(model, cells, suite)
    sections += intervention_sections(model, suite, settings.interventions, behaviour)
    owners = [p.vectors_from for p in settings.cross_model if p.evaluated_in == model]
    if owners:
        foreign = read_cross_model_cells(model, owners, suite.headline_set)
        sections.append(cross_model_section(model, foreign))
    confounds, agreement = labels.CONFOUNDS.read(**names), labels.SOURCE_AGREEMENT.read(**names)
    return [*sections, labels_section(confounds, agreement)]


def analysis_sections(
    model: str, cells: pl.DataFrame, suite: Suite, nothing: Collection[str]
) -> list[Section | None]:
    """What moves predictivity, which vector predicts best, and where vectors transfer.

    `nothing` are the families in which there is nothing to predict.
    """
    of_model = pl.col("model") == model
    at_layer = pl.col("layer") == headline_layer(cells, suite.headline)
    transfer = analysis.TRANSFER.read(model=model)
    differences = comparison.DIFFERENCES.read().filter(of_model)
    return [
        variance_components_section(comparison.VARIANCE_COMPONENTS.read().filter(of_model)),
        selection_section(comparison.SELECTED.read().filter(of_model), nothing),
        incremental_validity_section(
            analysis.INCREMENTAL_VALIDITY.read(model=model), suite.headline, nothing
        ),
        sample_efficiency_section(
            analysis.SAMPLE_EFFICIENCY.read(model=model), cells["family"][0], suite.headline_variant
        ),
        transfer_section(
            transfer.filter(at_layer, pl.col("method") == suite.headline_variant),
            analysis.TRANSFER_FROM_COSINES.read(model=model),
            suite.headline_variant,
        ),
        large_dimensions_section(
            analysis.LARGE_DIMENSIONS.read(model=model),
            differences,
            suite.headline,
            headline_layer(cells, suite.headline),
        ),
    ]


def consistency_sections(model: str, cells: pl.DataFrame, suite: Suite) -> list[Section | None]:
    """How consistent vectors are, and when answers can be predicted."""
    layer = headline_layer(cells, suite.headline)
    agreement = anticipation_against_record(analysis.AGREEMENT.read(model=model))
    sets = own_sets_of_families(agreement)
    own_cells = read_cells(model, [*sets.values()]) if sets else cells.clear()
    skipped = {
        name: read_variant_index(VECTORS / model / name).not_applicable
        for name in suite.extraction_sets
    }
    return [
        variance_section(analysis.VARIANCE.read(model=model), layer),
        reliability_section(analysis.RELIABILITY.read(model=model), layer),
        tokens_section(analysis.TOKENS.read(model=model), suite.headline),
        anticipation_section(agreement, anticipation_and_record_aurocs(own_cells, sets)),
        skipped_variants_section(skipped),
        kept_statistics_section(suite.extraction_sets),
    ]


def intervention_sections(
    model: str, suite: Suite, settings: InterventionSettings, behaviour: pl.DataFrame
) -> list[Section | None]:
    """What steering does and costs, and how it compares with prompting."""
    vector = suite.intervention_vectors[0]
    steering = SteeringFacts(vector, settings.where, suite.coefficient_unit)
    tables = interventions
    responses = tables.DOSE_RESPONSE.read(model=model)
    effects = tables.CAUSAL_EFFECTS.read(model=model)
    generation = tables.GENERATION.read(model=model)
    missing = not_steered(behaviour, responses)
    return [
        causal_section(effects, responses, missing, steering),
        steering_section(responses, steering),
        generation_section(tables.TEXTS.read(model=model), generation, vector),
        ablation_section(tables.ABLATION.read(model=model), vector),
        side_effects_section(tables.SIDE_EFFECTS.read(model=model), generation, vector),
        causes_section(tables.AGREEMENT.read(model=model), tables.TWO_LAYERS.read(model=model)),
        prompting_section(tables.PROMPTING.read(model=model), vector),
    ]


def best_vectors(model: str) -> dict[str, str]:
    """Family -> the vector (SET/VARIANT) that predicts it best on `select`, after the prompt."""
    selected = comparison.SELECTED.read().filter(
        pl.col("model") == model, pl.col("position") == "prompt"
    )
    return dict(selected.select("family", "vector").iter_rows())


def headline_layer(cells: pl.DataFrame, headline: str) -> int:
    """The layer selected on `select` for the headline vector, read after the prompt."""
    at_prompt = pl.col("position") == "prompt"
    return int(cells.filter("selected", at_prompt, pl.col("vector") == headline)["layer"][0])
