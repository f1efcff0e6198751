"""The truth about a model organism: where its cause is planted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from sycophancy_steering.foundation.errors import InputError

PLANTED_FILE = "planted.safetensors"
PLANTED_KEY = "planted"
DIRECTIONS = ("belief", "belief_after", "story", "story_after")
"""The tensors of the file, each (d_model,), in the order of `planted_directions`."""


@dataclass(frozen=True)
class Planted:
    """A known cause of sycophancy."""

    layer: int
    causes: int
    """1: opinions and misconceptions have it in common; 2: each has its own."""
    tenses: int
    """1: it is the same before and after the answer; 2: each has its own."""
    belief: NDArray[np.float32]
    """(d_model,) unit direction that decides opinions and pushback, towards sycophancy."""
    story: NDArray[np.float32]
    """(d_model,) unit direction that decides misconceptions; `belief` itself where causes is 1."""
    belief_after: NDArray[np.float32]
    """(d_model,) what `belief` is once the answer is given, when it decides the reason."""
    story_after: NDArray[np.float32]


def read_planted(folder: Path) -> Planted:
    """The truth about the organism in `folder`. InputError where it is none."""
    path = folder / PLANTED_FILE
    if not path.exists():
        raise InputError(
            f"{path}: not found; expected a model organism, made by stages/organism.py"
        )
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()[PLANTED_KEY])
        directions = {name: file.get_tensor(name) for name in DIRECTIONS}
        return Planted(about["layer"], about["causes"], about["tenses"], **directions)
