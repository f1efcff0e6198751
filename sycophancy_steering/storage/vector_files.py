"""`vectors/MODEL/SET/VARIANT.safetensors`: one float32 tensor a layer, and how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.activation_shards import Origin, layer_column

KEY = "steering_vector"
VARIANTS_FILE = "recipes.json"
"""Beside the vectors of a prompt set: their names in order, and the recipes that its answers do not
allow, each with the reason."""


def write_vectors(path: Path, vectors: NDArray[np.float32], about: dict[str, Any]) -> None:
    """Write `vectors` (layers, d_model); `about` becomes JSON under one metadata key.

    One key, because safetensors writes several in an order that changes from run to run.
    """
    tensors = {layer_column(n): np.ascontiguousarray(v) for n, v in enumerate(vectors)}
    path.write_bytes(save(tensors, metadata={KEY: json.dumps(about, sort_keys=True)}))


def read_vectors(
    path: Path, d_model: int | None = None
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The vectors (layers, d_model) and how they were made.

    Raises InputError for a file that cannot be read or, given `d_model`, is of another width.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get(KEY, "{}"))
            names = sorted(file.keys())
            vectors = np.stack([file.get_tensor(name) for name in names]).astype(np.float32)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro vectors` or `dvc pull`") from None
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not readable as steering vectors ({reason})") from None
    if names != [layer_column(n) for n in range(len(names))]:
        raise InputError(f"{path}: expected tensors layer_00, layer_01, ..., found {names[0]}, ...")
    if d_model is not None and vectors.shape[1] != d_model:
        raise InputError(
            f"{path}: vectors of width {vectors.shape[1]}, but the model's states have {d_model}; "
            "expected vectors made from a model of the same width"
        )
    return vectors, about


def vector_paths(folder: Path) -> list[Path]:
    """The vector files of a folder, in the order of their recipes; InputError where there is none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise InputError(f"{folder}: no vectors; run `dvc repro vectors` or `dvc pull`")
    listed = folder / VARIANTS_FILE
    order = json.loads(listed.read_text(encoding="utf-8"))["made"] if listed.exists() else []
    places = {name: n for n, name in enumerate(order)}
    return sorted(found, key=lambda path: places.get(path.stem, len(places)))


def read_all_vectors(
    folder: Path, origin: Origin
) -> tuple[dict[str, NDArray[np.float32]], pl.DataFrame]:
    """The vectors (layers, d_model) in `folder` by name, and a row about each: `name`, `null`,
    and how it was made.

    Raises InputError for one that cannot be read in states of `origin`.
    """
    vectors: dict[str, NDArray[np.float32]] = {}
    about: list[dict[str, Any]] = []
    for path in vector_paths(folder):
        found, made = read_vectors(path, origin.d_model)
        if len(found) != origin.n_layers:
            raise InputError(
                f"{path}: vectors for {len(found)} layers, but {origin.model} has {origin.n_layers}; "
                "expected a vector of this model or of one of the same shape"
            )
        vectors[path.stem] = found
        how = {key: str(value) for key, value in made.get("variant", {}).items()}
        about.append({"name": path.stem, "null": bool(made.get("null", False)), **how})
    return vectors, pl.DataFrame(about)
