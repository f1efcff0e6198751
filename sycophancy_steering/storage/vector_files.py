"""Reads and writes steering vectors; `schemas/vectors.py` is the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sycophancy_steering.config.foreign_vectors import FOREIGN
from sycophancy_steering.foundation.atomic_files import write_json
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.activations import layer_column
from sycophancy_steering.schemas.paths import VECTORS
from sycophancy_steering.schemas.vectors import METADATA_KEY, VARIANTS_FILE
from sycophancy_steering.storage.activation_shards import Origin

Vectors = NDArray[np.float32]
MAX_LAYERS = 10_000


@dataclass(frozen=True)
class VariantIndex:
    """The variants of a folder of vectors."""

    variants: list[str]
    """Those that were made, in their order."""
    not_applicable: dict[str, str]
    """Those that the set's answers do not allow, each with the reason."""


def write_vectors(path: Path, vectors: Vectors, metadata: Mapping[str, Any]) -> None:
    """Writes `vectors` (n_layers, d_model); `metadata` becomes JSON under one key.

    Raises InputError naming the layer if a vector is not finite or has length 0.
    """
    _check_usable(path, vectors)
    write_layers(path, dict(enumerate(vectors)), metadata)


def write_layers(
    path: Path, layers: Mapping[int, NDArray[np.float32]], metadata: Mapping[str, Any]
) -> None:
    """Writes vectors (d_model,) of some layers; `metadata` becomes JSON under one key."""
    tensors = {layer_column(n): np.ascontiguousarray(vector) for n, vector in layers.items()}
    about = json.dumps(dict(metadata), sort_keys=True)
    path.write_bytes(save(tensors, metadata={METADATA_KEY: about}))


def read_vectors(path: Path, d_model: int | None = None) -> tuple[Vectors, dict[str, Any]]:
    """The vectors (n_layers, d_model), and how they were made (`schemas.vectors.VectorMetadata`).

    Vectors from elsewhere may lack layers, whose rows are NaN (`has_vector`). Raises InputError for
    a file that cannot be read, has a vector that is not finite or has length 0, or, given
    `d_model`, has another width.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            names = sorted(file.keys(), key=lambda name: (len(name), name))
            vectors = np.stack([file.get_tensor(name) for name in names]).astype(np.float32)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro vectors` or `dvc pull`") from None
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not readable as steering vectors ({reason})") from None
    n_layers = metadata.get("n_layers", len(names))
    if not isinstance(n_layers, int) or not len(names) <= n_layers <= MAX_LAYERS:
        raise InputError(f"{path}: n_layers: expected {len(names)} to {MAX_LAYERS}: {n_layers!r}")
    numbers = range(n_layers)
    layers = [n for n in numbers if "n_layers" not in metadata or layer_column(n) in names]
    if names != [layer_column(n) for n in layers]:
        raise InputError(f"{path}: expected tensors layer_00, layer_01, ..., found {names[0]}, ...")
    if vectors.ndim != 2:
        raise InputError(f"{path}: expected tensors (d_model,), found {vectors.shape[1:]}")
    if d_model is not None and vectors.shape[1] != d_model:
        raise InputError(
            f"{path}: vectors of width {vectors.shape[1]}, but the model's activations have "
            f"{d_model}; expected vectors made from a model of the same width"
        )
    _check_usable(path, vectors)
    dense = np.full((len(numbers), vectors.shape[1]), np.nan, np.float32)
    dense[layers] = vectors
    return dense, metadata


def has_vector(vectors: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n_layers,) which layers of `vectors` (n_layers, d_model) have one; of vectors from elsewhere
    some may be missing."""
    return ~np.isnan(vectors[:, 0])


def unusable_layer(vectors: Vectors) -> str | None:
    """The first layer of `vectors` (n_layers, d_model) that has no direction, and why; or None."""
    for layer, vector in enumerate(vectors):
        if not np.isfinite(vector).all():
            return f"layer {layer}: the vector has NaN or infinite numbers"
        if not vector.any():
            return f"layer {layer}: the vector is zero"
    return None


def _check_usable(path: Path, vectors: Vectors) -> None:
    if reason := unusable_layer(vectors):
        raise InputError(f"{path}: {reason}; expected finite numbers and a length above 0")


def write_variant_index(folder: Path, index: VariantIndex) -> None:
    """Writes `variants.json` of a folder of vectors."""
    content = {"variants": index.variants, "not_applicable": index.not_applicable}
    write_json(folder / VARIANTS_FILE, content)


def read_variant_index(folder: Path) -> VariantIndex:
    """`variants.json` of a folder of vectors; empty where there is none."""
    path = folder / VARIANTS_FILE
    if not path.exists():
        return VariantIndex([], {})
    try:
        return VariantIndex(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise InputError(f"{path}: not readable; run `dvc repro vectors` or `dvc pull`") from None


def vector_paths(folder: Path) -> list[Path]:
    """The vector files of a folder, in the order of `variants.json`, then of their names.

    Raises InputError for a folder without vectors.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise InputError(f"{folder}: no vectors; run `dvc repro vectors` or `dvc pull`")
    order = {name: n for n, name in enumerate(read_variant_index(folder).variants)}
    return sorted(paths, key=lambda path: order.get(path.stem, len(order)))


def vector_sets(model: str, extraction_sets: Sequence[str]) -> list[str]:
    """The sets of a model's vectors: its extraction sets, and that of vectors from elsewhere where
    there is one."""
    return [*extraction_sets, *([FOREIGN] if (VECTORS / model / FOREIGN).exists() else [])]


def read_all_vectors(folder: Path, origin: Origin) -> tuple[dict[str, Vectors], pl.DataFrame]:
    """The vectors (n_layers, d_model) in a folder by name, and a table of how they were made.

    The table has a row for each: `vector`, `null`, and the fields of its variant. Raises
    InputError for one that does not fit the activations of `origin`.
    """
    vectors: dict[str, Vectors] = {}
    rows: list[dict[str, Any]] = []
    for path in vector_paths(folder):
        layers, metadata = read_vectors(path, origin.d_model)
        if len(layers) != origin.n_layers:
            raise InputError(
                f"{path}: vectors for {len(layers)} layers, but {origin.model} has "
                f"{origin.n_layers}; expected a vector of this model or of one of the same shape"
            )
        vectors[path.stem] = layers
        variant = {key: str(value) for key, value in metadata.get("variant", {}).items()}
        rows.append({"vector": path.stem, "null": bool(metadata.get("null", False)), **variant})
    return vectors, pl.DataFrame(rows)
