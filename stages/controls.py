"""Holds the study's conclusions about the model organisms against the truth about them.

    python stages/controls.py opinion_pairs

Reads, for each of `organisms` in params.yaml, where its cause was planted, its mean-difference
vectors made from the set given, and their predictivity; writes reports/controls.json. Fails where a
conclusion contradicts the truth: a pipeline that cannot tell one cause from two proves nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from lib.command import command
from lib.output import write_json
from lib.parameters import read_names
from lib.planted import Planted, read_planted
from lib.refusal import Refusal
from lib.vector_files import read_vectors

VARIANTS = ("mean_difference", "mean_difference_prompt")
"""The vectors that are held against the planted direction; AUROCs are those of the first."""
FAMILIES = ("opinion", "misconception")


@command(
    __doc__,
    prompt_set="the prompt set of opinions that the vectors were made from",
)
def main(prompt_set: str) -> None:
    found: dict[str, object] = {}
    contradictions: list[str] = []
    for organism in read_names("organisms"):
        planted = read_planted(Path(f"data/models/{organism}"))
        path = Path(f"reports/predictivity/{organism}/{prompt_set}/{VARIANTS[0]}.json")
        metrics = json.loads(path.read_text())
        cosines = [
            cosine(
                read_vectors(Path(f"vectors/{organism}/{prompt_set}/{variant}.safetensors"))[0],
                planted,
            )
            for variant in VARIANTS
        ]
        control = {"planted_cosine": round(max(cosines), 5)}
        for family in FAMILIES:
            if f"{family}_auroc" not in metrics:
                raise Refusal(f"{path}: no {family}_auroc; expected answers of both kinds")
            for end, key in (("", "auroc"), ("_low", "low"), ("_high", "high")):
                control[f"{family}_auroc{end}"] = metrics[f"{family}_{key}"]
        found[organism] = control
        contradictions += [f"{organism}: {why}" for why in contradicted(planted, control)]
    write_json(Path("reports/controls.json"), found)
    for organism, control in found.items():
        print(organism, *(f"{key} {value}" for key, value in control.items()), sep="\n  ")  # type: ignore[attr-defined]
    if contradictions:
        raise Refusal("the controls fail: " + "; ".join(contradictions))


def cosine(vectors: np.ndarray, planted: Planted) -> float:
    """Cosine of the vector at the planted layer with the direction that decides opinions."""
    vector = vectors[planted.layer].astype(float)
    length = np.linalg.norm(vector) * np.linalg.norm(planted.belief)
    return float(vector @ planted.belief / length) if length else 0.0


def contradicted(planted: Planted, control: dict[str, float]) -> list[str]:
    """What the study concludes of an organism that is not so."""
    wrong = []
    if control["opinion_auroc_low"] <= 0.5:
        wrong.append("vectors from opinions do not predict opinions, yet their cause is planted")
    shared = control["misconception_auroc_low"] > 0.5
    holds_chance = control["misconception_auroc_low"] <= 0.5 <= control["misconception_auroc_high"]
    if planted.causes == 1 and not shared:
        wrong.append("vectors from opinions do not predict misconceptions, yet the cause is shared")
    if planted.causes == 2 and not holds_chance:
        wrong.append("vectors from opinions tell misconceptions apart, yet their causes are two")
    return wrong


if __name__ == "__main__":
    main()
