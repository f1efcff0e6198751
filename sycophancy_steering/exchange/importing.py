"""Vectors from elsewhere as files of this project: written once, and read by the study."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from sycophancy_steering.config.foreign_vectors import UNKNOWN, ForeignVectorSettings
from sycophancy_steering.config.reading import validated
from sycophancy_steering.exchange.foreign_vectors import ForeignVectors, VectorOrigin, usable
from sycophancy_steering.exchange.layer_numbers import layer_numbers, layers_in_words
from sycophancy_steering.exchange.reading import read_foreign_vectors
from sycophancy_steering.exchange.safetensors_files import read_safetensors
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.paths import ACTIVATIONS, FOREIGN_VECTORS
from sycophancy_steering.storage.activation_shards import Origin, read_origin
from sycophancy_steering.storage.vector_files import write_layers

SUFFIX = ".safetensors"


def foreign_file(name: str) -> Path:
    """Where vectors are imported to."""
    return FOREIGN_VECTORS / f"{name}{SUFFIX}"


def model_shape(model: str) -> Origin | None:
    """What the model's activations say of it; None where there are none yet."""
    for folder in sorted((ACTIVATIONS / model).glob("*")):
        if folder.is_dir():
            return read_origin(folder)
    return None


def import_vectors(settings: ForeignVectorSettings) -> ForeignVectors:
    """The vectors of `settings`, checked against its model where this has activations.

    Raises InputError.
    """
    shape = model_shape(settings.model)
    vectors = read_foreign_vectors(settings, shape.n_layers if shape else None)
    if shape:
        vectors.check_fit(settings.files[0], settings.model, shape.n_layers, shape.d_model)
    return vectors


def write_imported(path: Path, vectors: ForeignVectors) -> None:
    """Writes what `read_imported` reads; atomically."""
    with atomic_write(path) as draft:
        write_layers(draft, vectors.layers, {"origin": vectors.origin.as_dict()})


def read_imported(path: Path) -> ForeignVectors:
    """Vectors as `write_imported` wrote them. Raises InputError for another file."""
    content = read_safetensors(path)
    origin = content.metadata.get("origin")
    known = {field.name for field in fields(VectorOrigin)}
    if not isinstance(origin, dict) or not {"files"} <= origin.keys() <= known:
        raise InputError(
            f"{path}: no imported vectors; run `python stages/import_vectors.py {path} --name NAME "
            "--model MODEL`, or make it an entry of `foreign_vectors` in params.yaml"
        )
    numbers = layer_numbers([*content.tensors])
    if numbers is None or any(array.ndim != 1 for array in content.tensors.values()):
        raise InputError(f"{path}: damaged; import the vectors again")
    layers = zip(numbers, content.tensors.values(), strict=True)
    by_layer = {layer: usable(str(path), layer, vector) for layer, vector in layers}
    return ForeignVectors(by_layer, validated(VectorOrigin, origin, path, "origin"))


def summary(vectors: ForeignVectors, n_layers: int | None) -> list[str]:
    """What was imported, in lines: layers, conventions, what is missing or unknown."""
    origin = vectors.origin
    layers = [*vectors.layers]
    norms = sorted(float((vector.astype(float) ** 2).sum() ** 0.5) for vector in layers_of(vectors))
    lines = [
        f"{len(layers)} vectors of width {vectors.d_model}: {layers_in_words(layers)} "
        "(decoder blocks from 0)",
        f"format: {origin.format}, {origin.stored_as}; layers counted as {origin.numbering} "
        f"(said by {origin.numbering_from})",
        f"norms: {norms[0]:.3g} to {norms[-1]:.3g}; multiplied by {origin.scale:g}"
        f"{', negated' if origin.negated else ''}",
    ]
    if n_layers is not None:
        missing = [layer for layer in range(n_layers) if layer not in vectors.layers]
        if missing:
            lines.append(f"no vector: {layers_in_words(missing)}")
        if origin.numbering == "hidden_states" and n_layers - 1 in vectors.layers:
            lines.append(
                f"layer {n_layers - 1} is hidden_states[{n_layers}], which Hugging Face reads "
                "after the last norm; the study reads before it"
            )
    lines += [f"left out: {part}" for part in vectors.left_out]
    unknown = [key for key, value in _recorded(origin).items() if value == UNKNOWN]
    if unknown:
        lines.append(f"unknown: {', '.join(unknown)}")
    return lines


def layers_of(vectors: ForeignVectors) -> list[Any]:
    """The vectors (d_model,) in the order of their layers."""
    return [*vectors.layers.values()]


def _recorded(origin: VectorOrigin) -> dict[str, str]:
    return {key: getattr(origin, key) for key in ("sign", "revision", "site", "position")}
