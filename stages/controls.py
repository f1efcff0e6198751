"""Holds the study's conclusions about the model organisms against the truth about them.

    python stages/controls.py opinion_pairs

Reads, for each of `organisms` in params.yaml, where its cause was planted, its mean-difference
vectors made from the set given, their predictivity and agreement; writes reports/controls.json.
Fails where a conclusion contradicts the truth: a pipeline that cannot tell one cause from two, or
what is about to be done from what was, proves nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.analysis.anticipation import (
    READOUTS,
    VARIANT_WORDS,
    anticipation_against_record,
    anticipation_and_record_aurocs,
)
from sycophancy_steering.config.reading import read_names
from sycophancy_steering.foundation.atomic_files import write_json
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.organisms.ground_truth import Planted, read_planted
from sycophancy_steering.storage.cell_files import read_cells
from sycophancy_steering.storage.vector_files import read_vectors

VARIANTS = ("mean_difference", "mean_difference_prompt")
"""The vectors that are held against the planted direction, made after the answer and before it;
AUROCs by family are those of the first, at the layer that was chosen for it."""
FAMILIES = ("opinion", "misconception")
Control = dict[str, float]


@command(
    __doc__,
    prompt_set="the prompt set of opinions that the vectors were made from",
)
def main(prompt_set: str) -> None:
    found: dict[str, object] = {}
    contradictions: list[str] = []
    for organism in read_names("organisms"):
        planted = read_planted(Path(f"data/models/{organism}"))
        control = {"planted_cosine": planted_cosine(organism, prompt_set, planted)}
        control |= by_family(Path(f"reports/predictivity/{organism}/{prompt_set}"))
        control |= by_tense(organism, prompt_set, planted.layer)
        found[organism] = control
        contradictions += [f"{organism}: {why}" for why in contradicted(planted, control)]
        print(organism, *(f"{key} {value}" for key, value in control.items()), sep="\n  ")
    write_json(Path("reports/controls.json"), found)
    if contradictions:
        raise InputError("the controls fail: " + "; ".join(contradictions))


def planted_cosine(organism: str, prompt_set: str, planted: Planted) -> float:
    """At the planted layer, the larger cosine of a vector with what is planted where it is made."""
    cosines = []
    for variant, direction in zip(VARIANTS, (planted.belief_after, planted.belief), strict=True):
        path = Path(f"vectors/{organism}/{prompt_set}/{variant}.safetensors")
        vector = read_vectors(path)[0][planted.layer].astype(float)
        length = np.linalg.norm(vector) * np.linalg.norm(direction)
        cosines.append(float(vector @ direction / length) if length else 0.0)
    return round(max(cosines), 5)


def by_family(folder: Path) -> Control:
    """What the vector from given answers reads after the prompt, family by family."""
    path = folder / f"{VARIANTS[0]}.json"
    metrics = json.loads(path.read_text())
    control = {}
    for family in FAMILIES:
        if f"{family}_auroc" not in metrics:
            raise InputError(f"{path}: no {family}_auroc; expected answers of both kinds")
        for end, key in (("", "auroc"), ("_low", "low"), ("_high", "high")):
            control[f"{family}_auroc{end}"] = metrics[f"{family}_{key}"]
    return control


def by_tense(organism: str, prompt_set: str, layer: int) -> Control:
    """At the planted layer: how far "about to" agrees with "just did" on opinions, and what each of
    them reads before the answer and after it."""
    table = pl.read_csv(f"reports/consistency/{organism}.agreement.csv")
    agreement = anticipation_against_record(table).filter(
        pl.col("layer") == layer,
        pl.col("prompt_set") == prompt_set,
        pl.col("other_prompt_set") == prompt_set,
    )
    read = anticipation_and_record_aurocs(
        read_cells(organism, [prompt_set]), {FAMILIES[0]: prompt_set}
    )
    if len(agreement) != 1:
        raise InputError(f"reports/consistency/{organism}.agreement.csv: nothing of {prompt_set}")
    row = agreement.row(0, named=True)
    control = {
        f"tenses_cosine{end}": row[key]
        for end, key in (("", "agreement"), ("_low", "low"), ("_high", "high"))
    }
    for row in read.filter(pl.col("layer") == layer).iter_rows(named=True):
        name = f"{VARIANT_WORDS[row['made']]} {READOUTS[row['position']][1]}".replace(" ", "_")
        for end in ("", "_low", "_high"):
            control[f"{name}_auroc{end}"] = row[f"auroc{end}"]
    return {key: round(value, 5) for key, value in control.items()}


def contradicted(planted: Planted, control: Control) -> list[str]:
    """What the study concludes of an organism that is not so."""

    def found(name: str) -> bool:
        return control[f"{name}_low"] > 0.5

    def chance(name: str) -> bool:
        return control[f"{name}_low"] <= 0.5 <= control[f"{name}_high"]

    wrong = []
    if planted.tenses == 1:
        if not found("opinion_auroc"):
            wrong.append(
                "vectors from opinions do not predict opinions, yet their cause is planted"
            )
        if planted.causes == 1 and not found("misconception_auroc"):
            wrong.append(
                "vectors from opinions do not predict misconceptions, yet the cause is shared"
            )
        if planted.causes == 2 and not chance("misconception_auroc"):
            wrong.append(
                "vectors from opinions tell misconceptions apart, yet their causes are two"
            )
    own = ("about_to_before_the_answer_auroc", "just_did_after_it_auroc")
    across = ("just_did_before_the_answer_auroc", "about_to_after_it_auroc")
    if not all(found(name) for name in own):
        wrong.append("a vector does not read its own side of the answer, where it is planted")
    if planted.tenses == 1 and not (found("tenses_cosine") and all(found(n) for n in across)):
        wrong.append('"about to" and "just did" are told apart, yet they are planted as one')
    # Intervals of AUROCs take a vector as it is. One of few pairs holds noise, which reads a little
    # anywhere: so not chance is asked for, but that the side's own vector surely reads better.
    behind = all(
        control[f"{other}_high"] < control[f"{name}_low"]
        for name, other in zip(own, across, strict=True)
    )
    if planted.tenses == 2 and not (control["tenses_cosine_high"] < 0.5 and behind):
        wrong.append('"about to" and "just did" are taken for one, yet they are planted as two')
    return wrong


if __name__ == "__main__":
    main()
