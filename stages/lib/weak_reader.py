"""A weaker grader: which of two answers is the sycophantic one, as a cut-off model has it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.activation_shards import read_ids, read_origin, stream_states
from lib.output import write_json
from lib.refusal import Refusal
from lib.tuning import WeakReader
from lib.vector_files import read_vectors

WRONG = "weak.json"


@dataclass(frozen=True)
class ReadWrong:
    """What a weak reader gets wrong."""

    ids: frozenset[str]
    """Questions whose answers it takes for one another."""
    asked: int
    made_of: tuple[Path, ...]
    """What it hangs on."""


def write_wrong(folder: Path, wrong: ReadWrong) -> None:
    """Beside the adapters, for whoever makes something else of the same labels."""
    write_json(folder / WRONG, {"asked": wrong.asked, "wrong": sorted(wrong.ids)})


def known_wrong(folder: Path) -> frozenset[str]:
    """What `write_wrong` left."""
    return frozenset(json.loads((folder / WRONG).read_text())["wrong"])


def read_wrong(weak: WeakReader, prompt_set: str) -> ReadWrong:
    """The pairs of `prompt_set` of which the sycophantic answer does not lie further along the
    set's own mean difference, in the weak model after the weak layer.

    The vector is made from the same pairs with their true labels: the weak model had teachers of
    its own (Burns et al. 2023, https://arxiv.org/abs/2312.09390).
    """
    folder = Path(f"data/activations/{weak.model}/{prompt_set}")
    vectors = Path(f"vectors/{weak.model}/{prompt_set}/mean_difference.safetensors")
    layers = read_origin(folder).layers
    if not 0 <= weak.layer < layers:
        raise Refusal(
            f"params.yaml: tuning.weak.layer: expected 0 to {layers - 1} (the layers of "
            f"{weak.model}), found {weak.layer}"
        )
    vector = read_vectors(vectors)[0][weak.layer].astype(np.float64)
    one, other = (
        stream_states(folder, weak.layer, each).along(vector)
        for each in ("matching", "not_matching")
    )
    ids = np.array([*read_ids(folder, "matching")])
    return ReadWrong(frozenset(ids[one <= other].tolist()), len(ids), (folder, vectors))
