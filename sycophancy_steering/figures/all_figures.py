"""All figures of a model, from the tables of the stages before."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

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
from sycophancy_steering.figures.power import power_by_size
from sycophancy_steering.figures.predictivity import (
    auroc_by_layer,
    label_against_cosine,
    variants_side_by_side,
)
from sycophancy_steering.figures.steering import (
    after_ablation,
    dose_response,
    effect_against_auroc,
    removal,
    two_layers,
)
from sycophancy_steering.figures.style import save
from sycophancy_steering.figures.transfer import auroc_by_pairs, transfer_matrix
from sycophancy_steering.figures.vectors import (
    anticipation_by_layer,
    auroc_by_token,
    reliability_by_pairs,
    variance_by_component,
)
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas import analysis, comparison, interventions
from sycophancy_steering.schemas.power import POWER
from sycophancy_steering.schemas.predictivity import SCORES
from sycophancy_steering.storage.cell_files import (
    POSITIONS,
    read_cells,
    selected_layer,
    vector_names,
)

Figures = dict[str, Figure]


def save_figures(model: str, suite: Suite, has_power: bool, folder: Path) -> int:
    """Saves `all_figures` of a model as MODEL_NAME.png in `folder`; how many there are."""
    figures = all_figures(model, suite) | (power_figures(model) if has_power else {})
    for name, figure in figures.items():
        save(figure, folder / f"{model}_{name}.png")
    return len(figures)


def all_figures(model: str, suite: Suite) -> Figures:
    """The figures of a model by name. Raises InputError where a table or a vector is missing."""
    headline = suite.headline
    cells = read_cells(model, [suite.headline_set])
    if headline not in vector_names(cells):
        raise InputError(
            f"params.yaml: suite: headline: no vector {headline} of {model}; expected SET/VARIANT, "
            f"one of {', '.join(vector_names(cells))}"
        )
    return {
        **predictivity_figures(model, cells, headline),
        **comparison_figures(model),
        **vector_figures(model, headline),
        **timing_figures(model, headline),
        **steering_figures(model, suite.intervention_vectors[0]),
    }


def predictivity_figures(model: str, cells: pl.DataFrame, headline: str) -> Figures:
    """How well the vectors of the headline's prompt set predict."""
    prompt_set, _, variant = headline.partition("/")
    test_answers = (
        (pl.col("vector") == variant)
        & (pl.col("split") == "test")
        & pl.col("position").is_in(list(POSITIONS))
    )
    scores = SCORES.scan(model=model, prompt_set=prompt_set).filter(test_answers).collect()
    return {
        "layers": auroc_by_layer(cells, f"{model}: predictivity by layer"),
        "variants": variants_side_by_side(cells, f"{model}: predictivity by variant"),
        "cosine": label_against_cosine(
            scores, f"{model}: answers against the cosine with {headline}, test split"
        ),
    }


def comparison_figures(model: str) -> Figures:
    """Which vector predicts best, what the projection adds, and which choices matter."""
    of_model = pl.col("model") == model
    selected = comparison.SELECTED.read().filter(of_model)
    components = comparison.VARIANCE_COMPONENTS.read().filter(of_model)
    return {
        "selected": selected_against_shuffled(selected, f"{model}: best vectors"),
        "incremental_validity": incremental_validity(
            analysis.INCREMENTAL_VALIDITY.read(model=model),
            f"{model}: what the projection adds, after the prompt",
        ),
        "variance_components": variance_components(
            components, f"{model}: which choices move predictivity, after the prompt"
        ),
    }


def vector_figures(model: str, headline: str) -> Figures:
    """How many pairs vectors need, where they transfer, and how consistent they are."""
    prompt_set, _, variant = headline.partition("/")
    layer = selected_layer(model, headline)
    at_layer = pl.col("layer") == layer
    transfer = analysis.TRANSFER.read(model=model)
    return {
        "sample_efficiency": auroc_by_pairs(
            analysis.SAMPLE_EFFICIENCY.read(model=model),
            f"{model}: predictivity by number of pairs of {prompt_set}, layer {layer}",
        ),
        "transfer": transfer_matrix(
            transfer.filter(at_layer, pl.col("method") == variant),
            f"{model}: transfer of {variant}, layer {layer}, test split",
        ),
        "variance": variance_by_component(
            analysis.VARIANCE.read(model=model).filter(at_layer),
            f"{model}: what makes mean differences differ, layer {layer}",
        ),
        "reliability": reliability_by_pairs(
            analysis.RELIABILITY.read(model=model).filter(at_layer),
            f"{model}: reliability of mean differences, layer {layer}",
        ),
    }


def power_figures(model: str) -> Figures:
    """What the study could have found."""
    power = POWER.read(model=model)
    title = f"{model}: what could have been found, planted at layer {power['layer'][0]}"
    return {"power": power_by_size(power, title)}


def timing_figures(model: str, headline: str) -> Figures:
    """When the answer can be predicted, and whether anticipation and record are one direction."""
    tokens = analysis.TOKENS.read(model=model).filter(pl.col("vector") == headline)
    agreement = anticipation_against_record(analysis.AGREEMENT.read(model=model))
    own = agreement.filter(pl.col("family") == pl.col("other_family"))
    sets = own_sets_of_families(own)
    cells = read_cells(model, [*sets.values()] or [headline.partition("/")[0]])
    return {
        "tokens": auroc_by_token(tokens, f"{model}: predictivity by token, {headline}"),
        "anticipation": anticipation_by_layer(
            own,
            anticipation_and_record_aurocs(cells, sets),
            f"{model}: anticipation (about to be sycophantic) and record (just was)",
        ),
    }


def steering_figures(model: str, vector: str) -> Figures:
    """What adding the vector, and removing it, does; without the figures of what was not tried."""
    responses = interventions.DOSE_RESPONSE.read(model=model).filter(pl.col("vector") == vector)
    ablation = interventions.ABLATION.read(model=model)
    pairs, effects = (
        table.read(model=model) for table in (interventions.TWO_LAYERS, interventions.EFFECTS)
    )
    figures: Figures = {}
    if len(responses):
        at = f"{vector} at layer {responses['layer'][0]}, test split"
        figures["dose_response"] = dose_response(responses, f"{model}: adding {at}")
        figures["removal"] = removal(responses, f"{model}: removing {at}")
        if len(ablation):
            title = f"{model}: predictivity after removing {at}"
            figures["ablation"] = after_ablation(ablation, title)
    if len(pairs):
        title = f"{model}: adding {vector} at two layers, coefficient 0.5 at each"
        figures["two_layers"] = two_layers(pairs, title)
    if len(effects):
        title = f"{model}: effect of each vector against its predictivity"
        agreement = interventions.AGREEMENT.read(model=model)
        figures["causes"] = effect_against_auroc(effects, agreement, title)
    return figures
