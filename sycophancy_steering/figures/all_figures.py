"""All figures of a model, from the tables of the stages before."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sycophancy_steering.analysis.anticipation import (
    anticipation_against_record,
    anticipation_and_record_aurocs,
    own_sets_of_families,
)
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.figures.comparison import (
    incremental_validity,
    selected_against_shuffled,
    variance_components,
)
from sycophancy_steering.figures.drawn import Figures, save
from sycophancy_steering.figures.power import power_by_size
from sycophancy_steering.figures.predictivity import (
    auroc_by_layer,
    label_against_cosine,
    variants_side_by_side,
)
from sycophancy_steering.figures.readouts import after_ablation
from sycophancy_steering.figures.steering import dose_response, effect_against_auroc, two_layers
from sycophancy_steering.figures.subject import Subject, subject_of
from sycophancy_steering.figures.timing import anticipation_by_layer, auroc_by_token
from sycophancy_steering.figures.transfer import auroc_by_pairs, transfer_matrix
from sycophancy_steering.figures.vectors import reliability_by_pairs, variance_by_component
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas import analysis, comparison, interventions
from sycophancy_steering.schemas.figures import CAPTIONS
from sycophancy_steering.schemas.power import POWER
from sycophancy_steering.schemas.predictivity import SCORES
from sycophancy_steering.storage.cell_files import (
    POSITIONS,
    read_cells,
    selected_layer,
    vector_names,
)


def save_figures(model: str, suite: Suite, has_power: bool, folder: Path) -> pl.DataFrame:
    """Saves `all_figures` of a model as MODEL_NAME.png in `folder`; the table of their captions."""
    figures = all_figures(model, suite, has_power)
    for name, drawn in figures.items():
        save(drawn, folder / f"{model}_{name}.png")
    rows = {
        "model": [model] * len(figures),
        "figure": [*figures],
        "caption": [drawn.caption for drawn in figures.values()],
    }
    return pl.DataFrame(rows, schema=dict(CAPTIONS.columns))


def all_figures(model: str, suite: Suite, has_power: bool) -> Figures:
    """The figures of a model by name. Raises InputError where a table or a vector is missing."""
    headline = suite.headline
    cells = read_cells(model, [suite.headline_set])
    if headline not in vector_names(cells):
        raise InputError(
            f"params.yaml: suite: headline: no vector {headline} of {model}; expected SET/VARIANT, "
            f"one of {', '.join(vector_names(cells))}"
        )
    subject = subject_of(model, headline, cells)
    power = POWER.read(model=model) if has_power else POWER.empty()
    return {
        **predictivity_figures(cells, subject),
        **comparison_figures(subject),
        **vector_figures(subject),
        **timing_figures(subject),
        **steering_figures(subject, suite.intervention_vectors[0]),
        **({} if power.is_empty() else {"power": power_by_size(power, subject)}),
    }


def predictivity_figures(cells: pl.DataFrame, subject: Subject) -> Figures:
    """How well the vectors of the headline's prompt set predict."""
    test_answers = (
        (pl.col("vector") == subject.variant)
        & (pl.col("split") == "test")
        & pl.col("position").is_in(list(POSITIONS))
    )
    scores = SCORES.scan(model=subject.model, prompt_set=subject.prompt_set)
    return {
        "layers": auroc_by_layer(cells, subject),
        "variants": variants_side_by_side(cells, subject),
        "cosine": label_against_cosine(scores.filter(test_answers).collect(), subject),
    }


def comparison_figures(subject: Subject) -> Figures:
    """Which vector predicts best, what the projection adds, and which choices matter."""
    of_model = pl.col("model") == subject.model
    validity = analysis.INCREMENTAL_VALIDITY.read(model=subject.model)
    return {
        "selected": selected_against_shuffled(comparison.SELECTED.read().filter(of_model), subject),
        "incremental_validity": incremental_validity(validity, subject),
        "variance_components": variance_components(
            comparison.VARIANCE_COMPONENTS.read().filter(of_model), subject
        ),
    }


def vector_figures(subject: Subject) -> Figures:
    """How many pairs vectors need, where they transfer, and how consistent they are."""
    model = subject.model
    layer = selected_layer(model, subject.headline)
    at_layer = pl.col("layer") == layer
    transfer = analysis.TRANSFER.read(model=model).filter(
        at_layer, pl.col("method") == subject.variant
    )
    return {
        "sample_efficiency": auroc_by_pairs(
            analysis.SAMPLE_EFFICIENCY.read(model=model), subject, layer
        ),
        "transfer": transfer_matrix(transfer, subject, layer),
        "variance": variance_by_component(
            analysis.VARIANCE.read(model=model).filter(at_layer), model, layer
        ),
        "reliability": reliability_by_pairs(
            analysis.RELIABILITY.read(model=model).filter(at_layer), model, layer
        ),
    }


def timing_figures(subject: Subject) -> Figures:
    """When the answer can be predicted, and whether anticipation and record are one direction."""
    model = subject.model
    tokens = analysis.TOKENS.read(model=model).filter(pl.col("vector") == subject.headline)
    agreement = anticipation_against_record(analysis.AGREEMENT.read(model=model))
    own = agreement.filter(pl.col("family") == pl.col("other_family"))
    sets = own_sets_of_families(own)
    cells = read_cells(model, [*sets.values()] or [subject.prompt_set])
    return {
        "tokens": auroc_by_token(tokens, subject),
        "anticipation": anticipation_by_layer(
            own, anticipation_and_record_aurocs(cells, sets), subject
        ),
    }


def steering_figures(subject: Subject, vector: str) -> Figures:
    """What adding the vector, and removing it, does; without the figures of what was not tried."""
    model = subject.model
    responses = interventions.DOSE_RESPONSE.read(model=model).filter(pl.col("vector") == vector)
    ablation = interventions.ABLATION.read(model=model)
    pairs, effects = (
        table.read(model=model) for table in (interventions.TWO_LAYERS, interventions.EFFECTS)
    )
    figures: Figures = {}
    if len(responses):
        figures["dose_response"] = dose_response(responses, subject, vector)
        if len(ablation):
            figures["ablation"] = after_ablation(ablation, subject, vector)
    if len(pairs):
        figures["two_layers"] = two_layers(pairs, subject, vector)
    if len(effects):
        agreement = interventions.AGREEMENT.read(model=model)
        figures["causes"] = effect_against_auroc(effects, agreement, subject)
    return figures
