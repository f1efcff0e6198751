"""What cosines of a vector mean: how large they are with vectors that have nothing to do with it.

Vectors of one model share large directions, so two of unrelated behaviours may lie at -0.4 where
isotropic directions lie within 0.03 of 0. Beside these stand, where they are here, the study's null
vectors of the same model (shuffled pairs, letters) and vectors that the user calls unrelated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.paths import VECTORS
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.storage.vector_files import read_vectors

ISOTROPIC = "random"
"""The null method whose vectors are isotropic directions, which need no yardstick of their own."""
Layers = Mapping[int, Floats]
"""(d_model,) by layer."""


@dataclass(frozen=True)
class Yardstick:
    """Cosines of two vectors with unrelated ones, over all layers that they share."""

    name: str
    n_vectors: int
    low: float
    high: float


def isotropic_half_width(d_model: int) -> float:
    """95% of the cosines of random directions are within this of 0."""
    return float(1.96 / np.sqrt(d_model))


def yardstick(name: str, compared: Sequence[Layers], unrelated: Sequence[Layers]) -> Yardstick:
    """The range of the cosines of each of `compared` with each of `unrelated`.

    Raises InputError where they share no layer, or differ in width.
    """
    cosines = []
    for one in compared:
        for other in unrelated:
            for layer in one.keys() & other.keys():
                if len(one[layer]) != len(other[layer]):
                    raise InputError(
                        f"{name}: vectors of width {len(other[layer])}, but those compared have "
                        f"{len(one[layer])}; expected vectors of the same model"
                    )
                cosines.append(float(cosine(one[layer], other[layer])))
    if not cosines:
        raise InputError(f"{name}: no layer in common with the vectors compared")
    return Yardstick(name, len(unrelated), min(cosines), max(cosines))


def null_vectors(model: str, width: int) -> Iterator[Layers]:
    """The study's null vectors of a model that are not isotropic, each as often as sets have it."""
    for path in sorted((VECTORS / model).glob("*/*.safetensors")):
        vectors, about = read_vectors(path)
        method = about.get("variant", {}).get("method")
        if about.get("null") and method != ISOTROPIC and vectors.shape[1] == width:
            yield dict(enumerate(vectors.astype(np.float64)))


def models_named(paths: Sequence[str]) -> list[str]:
    """Those of `paths`' models that have vectors here, each once."""
    return [name for name in dict.fromkeys(paths) if name and (VECTORS / Path(name)).is_dir()]
