"""The contract of vector files: where they lie, and the metadata in them.

`vectors/extracted/MODEL/SET/VARIANT.safetensors` has one float32 tensor (d_model,) a layer, named
as the layer's column in an activation shard (`layer_00`), and one metadata key with JSON.
`variants.json` beside them lists the variants in their order, and those that the set's answers do
not allow. The set `foreign` holds vectors from elsewhere; those that were imported lie in
`vectors/foreign/NAME.safetensors`, an input that is never written by a stage of DVC.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from sycophancy_steering.schemas.paths import VECTORS

METADATA_KEY = "steering_vector"
"""One key, because safetensors writes several in an order that changes from run to run."""
VARIANTS_FILE = "variants.json"


class VectorMetadata(TypedDict, total=False):
    """How a file's vectors were made; all keys are missing in vectors from elsewhere."""

    variant: dict[str, Any]
    """The fields of `config.variants.Variant`."""
    null: bool
    """Whether the method knows nothing of sycophancy."""
    prompt_set: str
    prompt_set_sha256: str
    model: str
    revision: str
    n_sycophantic: int
    n_other: int
    n_layers: int
    """Of the model; only in the set `foreign`, whose files may lack layers."""
    origin: dict[str, Any]
    """Only in the set `foreign`: the fields of `exchange.foreign_vectors.VectorOrigin`."""


def vector_file(model: str, vector: str) -> Path:
    """The file of a vector, SET/VARIANT, made from a model."""
    return VECTORS / model / f"{vector}.safetensors"
