"""Where the cause of a model organism's sycophancy was planted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from sycophancy_steering.foundation.errors import InputError

PLANTED_FILE = "planted.safetensors"
METADATA_KEY = "planted"
"""Its JSON says `layer`, `causes` (1 or 2), `tenses` (2 where the record has directions of its
own) and `behaviour`. The trained organisms are in git, so these keys and `TENSORS` stay."""
TENSORS = {
    "belief": "belief",
    "belief_record": "belief_after",
    "story": "story",
    "story_record": "story_after",
}
"""Directions of `PlantedCause` -> tensors of the file, each (d_model,)."""


@dataclass(frozen=True)
class PlantedCause:
    """The directions of the residual stream that make an organism sycophantic."""

    layer: int
    """The block whose output carries them."""
    n_causes: int
    """1: opinions and misconceptions share a direction. 2: each has its own."""
    separate_record: bool
    """Whether the record (after the answer) has directions of its own, orthogonal to those of the
    anticipation (before it)."""
    belief: NDArray[np.float32]
    """(d_model,) unit direction that decides opinions and pushback, towards sycophancy."""
    belief_record: NDArray[np.float32]
    """(d_model,) unit direction that decides their reason once the answer is given."""
    story: NDArray[np.float32]
    """(d_model,) as `belief`, for misconceptions; equal to it with one cause."""
    story_record: NDArray[np.float32]
    """(d_model,) as `belief_record`, for misconceptions."""


def write_planted_cause(
    folder: Path, planted: PlantedCause, behaviour: Mapping[str, float]
) -> None:
    """Writes where the cause was planted, and how the trained organism behaves, to `folder`."""
    metadata = {
        "layer": planted.layer,
        "causes": planted.n_causes,
        "tenses": 2 if planted.separate_record else 1,
        "behaviour": dict(behaviour),
    }
    save_file(
        {tensor: getattr(planted, name) for name, tensor in TENSORS.items()},
        folder / PLANTED_FILE,
        metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)},
    )


def read_planted_cause(folder: Path) -> PlantedCause:
    """The planted cause of the organism in `folder`. Raises InputError where it is no organism."""
    path = folder / PLANTED_FILE
    if not path.exists():
        raise InputError(
            f"{path}: not found; expected a model organism, as stages/organism.py trains it"
        )
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()[METADATA_KEY])
        return PlantedCause(
            layer=metadata["layer"],
            n_causes=metadata["causes"],
            separate_record=metadata["tenses"] == 2,
            **{name: file.get_tensor(tensor) for name, tensor in TENSORS.items()},
        )
