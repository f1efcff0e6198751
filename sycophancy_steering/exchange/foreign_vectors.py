"""Vectors from elsewhere: a direction for some layers of a model, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.config.foreign_vectors import UNKNOWN, Numbering
from sycophancy_steering.exchange.layer_numbers import layers_in_words
from sycophancy_steering.foundation.errors import InputError

OFFSETS: dict[Numbering, int] = {"blocks_from_0": 0, "blocks_from_1": 1, "hidden_states": 1}
"""What is taken from a layer's number to count decoder blocks from 0, as here."""
EMBEDDINGS = -1
"""The number that the embeddings get."""


@dataclass(frozen=True)
class VectorOrigin:
    """What is known of vectors from elsewhere; `unknown` where it is not."""

    files: Mapping[str, str]
    """Name -> sha256 of each file that was read."""
    format: str = UNKNOWN
    """Of the files, in words."""
    stored_as: str = UNKNOWN
    """The type of the numbers in the files."""
    numbering: str = UNKNOWN
    """How the files count layers: see `config.foreign_vectors.Numbering`."""
    numbering_from: str = UNKNOWN
    """Who says so: the user, the format, the names, the number of rows."""
    scale: float = 1.0
    """What the vectors were multiplied by."""
    negated: bool = False
    """Whether they were turned around."""
    sign: str = UNKNOWN
    """Which way the files' vectors point, as their source says."""
    model: str = UNKNOWN
    """The model whose activations they are read in."""
    made_from_model: str = UNKNOWN
    """The model that the files name, which may be called otherwise here."""
    revision: str = UNKNOWN
    site: str = UNKNOWN
    """Where in a layer they were read."""
    position: str = UNKNOWN
    """The tokens that they were read at."""

    def as_dict(self) -> dict[str, Any]:
        """For metadata."""
        return asdict(self)


@dataclass(frozen=True)
class ForeignVectors:
    """Directions by layer: the decoder block, counted from 0, whose output they were read at."""

    layers: Mapping[int, NDArray[np.float32]]
    """(d_model,) each, finite and not zero, in the order of the layers."""
    origin: VectorOrigin
    left_out: tuple[str, ...] = ()
    """What in the files is no layer's vector, in words."""

    @property
    def d_model(self) -> int:
        """The width of the vectors."""
        return len(next(iter(self.layers.values())))

    def dense(self, n_layers: int) -> NDArray[np.float32]:
        """(n_layers, d_model), NaN where a layer has no vector."""
        dense = np.full((n_layers, self.d_model), np.nan, np.float32)
        for layer, vector in self.layers.items():
            dense[layer] = vector
        return dense

    def check_fit(self, place: str, model: str, n_layers: int, d_model: int) -> None:
        """Raises InputError unless these can be vectors of a model of this shape."""
        if self.d_model != d_model:
            raise InputError(
                f"{place}: vectors of width {self.d_model}, but the activations of {model} have "
                f"{d_model}; expected vectors of this model or of one of the same width"
            )
        if too_high := [layer for layer in self.layers if layer >= n_layers]:
            raise InputError(
                f"{place}: a vector for {layers_in_words(too_high)} (from 0, as here), but {model} "
                f"has layers 0 to {n_layers - 1}; the files were read as "
                f"{self.origin.numbering}: say otherwise by `numbering`"
            )


def to_blocks_from_0(
    place: str, vectors: Mapping[int, np.ndarray], numbering: Numbering
) -> dict[int, np.ndarray]:
    """Vectors by decoder block from 0; what was read at the embeddings gets `EMBEDDINGS`.

    Raises InputError for a layer that the numbering does not have.
    """
    if numbering == "blocks_from_1" and 0 in vectors:
        raise InputError(
            f"{place}: layer 0, but numbering is blocks_from_1; expected layers from 1"
        )
    offset = OFFSETS[numbering]
    return {layer - offset: vectors[layer] for layer in sorted(vectors)}


def usable(place: str, layer: int, vector: np.ndarray) -> NDArray[np.float32]:
    """`vector` (d_model,) as float32. Raises InputError for NaN, infinity, or a length of 0."""
    with np.errstate(over="ignore"):
        narrow = vector.astype(np.float32)
    if not np.isfinite(narrow).all():
        raise InputError(
            f"{place}: layer {layer}: the vector has NaN or infinite numbers; expected finite ones"
        )
    if not narrow.any():
        raise InputError(
            f"{place}: layer {layer}: the vector is zero; expected a direction, or no entry"
        )
    return narrow
