"""Conclusions about the model organisms, checked against where their causes were planted."""

from __future__ import annotations

import numpy as np
import polars as pl

from sycophancy_steering.analysis.anticipation import (
    anticipation_against_record,
    anticipation_and_record_aurocs,
)
from sycophancy_steering.analysis.headline_metrics import pooled_after_prompt
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.organisms.ground_truth import PlantedCause, read_planted_cause
from sycophancy_steering.schemas.analysis import AGREEMENT
from sycophancy_steering.schemas.paths import MODELS, VECTORS
from sycophancy_steering.schemas.table import estimate
from sycophancy_steering.storage.cell_files import read_cells
from sycophancy_steering.storage.vector_files import read_vectors

VARIANTS = ("mean_difference", "mean_difference_prompt")
"""The vectors that are compared with the planted directions, of record and anticipation. AUROCs by
family are those of the first, at its selected layer."""
FAMILIES = ("opinion", "misconception")
NAMES = {"mean_difference_prompt": "anticipation", "mean_difference": "record"}
COSINE = "anticipation_record_cosine"
OWN_SIDE = ("anticipation_prompt_auroc", "record_continuation_auroc")
OTHER_SIDE = ("record_prompt_auroc", "anticipation_continuation_auroc")
Controls = dict[str, float]
"""A row of the table CONTROLS, without the organism."""


def control_quantities(organism: str, prompt_set: str) -> tuple[Controls, list[str]]:
    """A row of CONTROLS, and the conclusions about an organism that contradict what was planted.

    Raises InputError where a table lacks the organism's vectors, or a family has one class of
    answers.
    """
    planted = read_planted_cause(MODELS / organism)
    cells = read_cells(organism, [prompt_set])
    controls = {"planted_cosine": planted_cosine(organism, prompt_set, planted)}
    controls |= _family_aurocs(cells, f"{prompt_set}/{VARIANTS[0]}")
    controls |= _anticipation_and_record(organism, prompt_set, planted.layer, cells)
    return controls, contradictions(planted, controls)


def planted_cosine(organism: str, prompt_set: str, planted: PlantedCause) -> float:
    """At the planted layer, the larger cosine of a vector with what was planted on its side."""
    cosines = []
    for variant, direction in zip(VARIANTS, (planted.belief_record, planted.belief), strict=True):
        path = VECTORS / organism / prompt_set / f"{variant}.safetensors"
        vector = read_vectors(path)[0][planted.layer].astype(float)
        norms = np.linalg.norm(vector) * np.linalg.norm(direction)
        cosines.append(float(vector @ direction / norms) if norms else 0.0)
    return max(cosines)


def _family_aurocs(cells: pl.DataFrame, vector: str) -> Controls:
    """`FAMILY_auroc` after the prompt, at the vector's selected layer."""
    selected = pooled_after_prompt(cells).filter("selected", pl.col("vector") == vector)
    controls: Controls = {}
    for family in FAMILIES:
        rows = selected.filter(pl.col("family") == family, pl.col("auroc").is_not_nan())
        if not len(rows):
            raise InputError(f"{vector}: no AUROC of {family}; expected answers of both classes")
        controls |= _renamed(rows.row(0, named=True), "auroc", f"{family}_auroc")
    return controls


def _anticipation_and_record(
    organism: str, prompt_set: str, layer: int, cells: pl.DataFrame
) -> Controls:
    """At the planted layer, on opinions: the cosine of anticipation and record, and the AUROCs of
    each before and after the answer."""
    agreement = anticipation_against_record(AGREEMENT.read(model=organism)).filter(
        pl.col("layer") == layer,
        pl.col("prompt_set") == prompt_set,
        pl.col("other_prompt_set") == prompt_set,
    )
    if len(agreement) != 1:
        raise InputError(f"{AGREEMENT.path(model=organism)}: no rows of {prompt_set}")
    controls = _renamed(agreement.row(0, named=True), "noise_free_cosine", COSINE)
    aurocs = anticipation_and_record_aurocs(cells, {FAMILIES[0]: prompt_set})
    for row in aurocs.filter(pl.col("layer") == layer).iter_rows(named=True):
        controls |= _renamed(row, "auroc", f"{NAMES[row['variant']]}_{row['position']}_auroc")
    return controls


def _renamed(row: dict[str, float], old: str, new: str) -> Controls:
    """The estimate `old` of a row under the name `new`."""
    return {to: row[of] for of, to in zip(estimate(old), estimate(new), strict=True)}


def contradictions(planted: PlantedCause, controls: Controls) -> list[str]:
    """The conclusions of the study that contradict what was planted."""

    def low(name: str) -> float:
        return controls[f"{name}_low"]

    def high(name: str) -> float:
        return controls[f"{name}_high"]

    wrong = []
    if not planted.separate_record:
        if low("opinion_auroc") <= 0.5:
            wrong.append(
                "vectors from opinions do not predict opinions, yet their cause is planted"
            )
        if planted.n_causes == 1 and low("misconception_auroc") <= 0.5:
            wrong.append(
                "vectors from opinions do not predict misconceptions, yet the cause is shared"
            )
        if planted.n_causes == 2 and not (
            low("misconception_auroc") <= 0.5 <= high("misconception_auroc")
        ):
            wrong.append("vectors from opinions predict misconceptions, yet their causes are two")
    if not all(low(name) > 0.5 for name in OWN_SIDE):
        wrong.append("a vector does not predict on its own side of the answer, where it is planted")
    if not planted.separate_record and not all(low(name) > 0.5 for name in (COSINE, *OTHER_SIDE)):
        wrong.append("anticipation and record come out as two, yet they are planted as one")
    # Intervals of AUROCs take a vector as fixed. One of few pairs is noisy and predicts a little
    # anywhere: so the other side need not be at chance, but worse than the side's own vector.
    worse = all(high(other) < low(own) for own, other in zip(OWN_SIDE, OTHER_SIDE, strict=True))
    if planted.separate_record and not (high(COSINE) < 0.5 and worse):
        wrong.append("anticipation and record come out as one, yet they are planted as two")
    return wrong
