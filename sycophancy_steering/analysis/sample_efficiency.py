"""How many contrast pairs a method needs, and whether it is the pairing that saves pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.analysis.readouts import cell_aurocs
from sycophancy_steering.config.predictivity import SampleEfficiencySettings
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.analysis import SAMPLE_EFFICIENCY
from sycophancy_steering.statistics.estimates import central_interval
from sycophancy_steering.vectors.contrast import Contrast, MethodNotApplicable
from sycophancy_steering.vectors.labelled_activations import LabelledActivations
from sycophancy_steering.vectors.methods import NULLS, PAIRS_ONLY, steering_vector

KEYS = {"method": pl.String, "paired": pl.Boolean, "n_pairs": pl.Int64}
SAMPLES = {**KEYS, "resample": pl.Int64, "family": pl.String, "auroc": pl.Float64}
"""The columns of `sampled_aurocs`."""


def sample_contrast(
    answers: LabelledActivations, variant: Variant, layer: int, paired: bool
) -> Contrast:
    """`variant.n_pairs` activations of each class, of the same questions or of different ones.

    Raises MethodNotApplicable where there are not so many questions, or no answers were forced.
    """
    n, n_pairs = len(answers.items), int(variant.n_pairs)
    n_needed = n_pairs if paired else 2 * n_pairs
    if n_needed > n:
        raise MethodNotApplicable(f"{n} questions; expected {n_needed}")
    rows = np.random.default_rng([variant.seed, n_pairs]).permutation(n)[:n_needed]
    groups = (rows, rows) if paired else (rows[:n_pairs], rows[n_pairs:])
    whole = replace(variant, n_pairs="all")  # the rows are sampled here
    contrast = answers.contrast(whole, layer, groups)
    return contrast if paired else replace(contrast, paired=False, pair_weights=None)


def sampled_aurocs(
    answers: LabelledActivations,
    methods: Sequence[str],
    layer: int,
    settings: SampleEfficiencySettings,
    cells: Mapping[str, Cell],
    activations: ArrayStream,
) -> pl.DataFrame:
    """A row a method, pairing, number of pairs, resample and family: columns `SAMPLES`.

    Vectors are made at `layer`; `activations` (N, d_model) are those of all answers of the
    evaluation set there; `cells` by family. Numbers of pairs that exceed the set have no rows; a
    set without forced answers has none at all.
    """
    keys, vectors = [], []
    for method in methods:
        for paired in (True,) if method in PAIRS_ONLY else (True, False):
            for n_pairs in settings.n_pairs:
                for resample in range(settings.n_resamples):
                    variant = Variant(method, "answer", n_pairs, resample)
                    try:
                        contrast = sample_contrast(answers, variant, layer, paired)
                        vectors.append(steering_vector(method, contrast))
                    except MethodNotApplicable:
                        continue
                    keys.append((method, paired, n_pairs, resample))
    if not vectors:
        return pl.DataFrame(schema=SAMPLES)
    stacked = np.stack(vectors).astype(np.float64)
    aurocs = cell_aurocs(stacked, activations, [*cells.values()])
    rows = [
        (*key, family, float(values[n]))
        for n, key in enumerate(keys)
        for family, values in zip(cells, aurocs, strict=True)
    ]
    return pl.DataFrame(rows, schema=SAMPLES, orient="row")


def learning_curves(samples: pl.DataFrame) -> pl.DataFrame:
    """Mean AUROC over resamples, its central 95% and its standard deviation."""
    rows = []
    for key, group in samples.group_by([*KEYS, "family"], maintain_order=True):
        aurocs = group["auroc"].to_numpy()
        low, high = central_interval(aurocs)
        sd = float(aurocs.std(ddof=1)) if len(aurocs) > 1 else np.nan
        rows.append((*key, len(aurocs), float(aurocs.mean()), float(low), float(high), sd))
    schema = {name: kind for name, kind in SAMPLE_EFFICIENCY.columns.items() if name != "layer"}
    return pl.DataFrame(rows, schema=schema, orient="row")


def sample_efficiency_table(
    study: ModelStudy, variants: Sequence[Variant], settings: SampleEfficiencySettings
) -> pl.DataFrame:
    """The table SAMPLE_EFFICIENCY: vectors of the headline's set at the headline's layer.

    The methods are those of `variants` that use forced answers; of the null models, only shuffled
    pairs. Empty where only statistics of the set's activations are kept. Raises InputError where
    `settings.methods` names another.
    """
    if study.suite.headline_set in study.sets_with_statistics:
        return SAMPLE_EFFICIENCY.empty()
    methods = dict.fromkeys(
        variant.method
        for variant in variants
        if variant.position == "answer" and variant.method not in NULLS - {"shuffled"}
    )
    if unknown := [name for name in settings.methods if name not in methods]:
        raise InputError(
            f"params.yaml: sample_efficiency.methods: {unknown[0]}; expected methods of `variants` "
            f"at position answer: {', '.join(methods)}"
        )
    cells = {
        cell.family: cell
        for cell in study.evaluation.pooled_cells
        if cell.split == "test" and cell.both_classes
    }
    layer = study.headline_layer
    samples = sampled_aurocs(
        study.extractions[study.suite.headline_set],
        settings.methods or list(methods),
        layer,
        settings,
        cells,
        study.evaluation.activations(layer, "prompt"),
    )
    return learning_curves(samples).with_columns(pl.lit(layer, pl.Int64).alias("layer"))
