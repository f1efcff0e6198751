"""Vectors out of a file, a folder or files of a layer each, whatever their format."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycophancy_steering.config.foreign_vectors import (
    UNKNOWN,
    ForeignVectorSettings,
    Numbering,
)
from sycophancy_steering.exchange import gguf_files, numpy_files, safetensors_files, torch_files
from sycophancy_steering.exchange.file_content import SINGLE, FileContent
from sycophancy_steering.exchange.foreign_vectors import (
    EMBEDDINGS,
    ForeignVectors,
    VectorOrigin,
    to_blocks_from_0,
    usable,
)
from sycophancy_steering.exchange.layer_numbers import layer_numbers
from sycophancy_steering.foundation.errors import InputError

SUFFIXES = (".pt", ".pth", ".bin", ".gguf", ".safetensors", ".npy", ".npz")
"""Of the files that are taken from a folder; a file's format is seen from its first bytes."""
MAX_FILES = 2_000
ZIP = b"PK"
NUMBERINGS = "hidden_states (0 = embeddings), blocks_from_0 or blocks_from_1"


@dataclass(frozen=True)
class _Numbered:
    """Arrays (d_model,) by the numbers that the files give their layers."""

    vectors: Mapping[int, np.ndarray]
    by_rows: bool
    """Whether the numbers are those of the rows of one tensor."""


def read_file(path: Path) -> FileContent:
    """The tensors of one file, whose format its first bytes tell. Raises InputError."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror})") from None
    if start.startswith(gguf_files.MAGIC):
        return gguf_files.read_gguf(path)
    if start.startswith(numpy_files.MAGIC):
        return numpy_files.read_npy(path)
    if start.startswith(ZIP):
        return numpy_files.read_npz(path) if _holds_arrays(path) else torch_files.read_torch(path)
    if path.suffix in (".pt", ".pth", ".bin"):
        return torch_files.read_torch(path)
    if path.suffix == ".safetensors":
        return safetensors_files.read_safetensors(path)
    raise InputError(
        f"{path}: of no known format; expected PyTorch, GGUF, safetensors or numpy "
        f"({', '.join(SUFFIXES)})"
    )


def _holds_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
        return path.suffix == ".npz"


def read_foreign_vectors(
    settings: ForeignVectorSettings, n_layers: int | None = None
) -> ForeignVectors:
    """The vectors of `settings.files`, converted as it says.

    `n_layers` are those of the model, where it is known: it tells rows that start at the embeddings
    from rows that do not. Raises InputError.
    """
    paths, others = _files(settings.files)
    contents = {path: read_file(path) for path in paths}
    place = str(paths[0]) if len(paths) == 1 else f"{paths[0].parent}"
    numbered = _numbered(contents, settings, place)
    numbering, said_by = _numbering(contents, numbered, settings, n_layers, place)
    converted = to_blocks_from_0(place, numbered.vectors, numbering)
    left_out = [f"{path.name}, which is not of a known format" for path in others]
    left_out += [f"the entry {name[:40]}" for one in contents.values() for name in one.not_read]
    if converted.pop(EMBEDDINGS, None) is not None:
        left_out.append("the vector of the embeddings, which are no layer's output")
    if not converted:
        raise InputError(f"{place}: no vector but that of the embeddings; expected one of a layer")
    factor = np.float64(settings.scale * (-1 if settings.negate else 1))
    layers = {
        layer: usable(place, layer, vector if factor == 1 else vector * factor)
        for layer, vector in converted.items()
    }
    widths = sorted({len(vector) for vector in layers.values()})
    if len(widths) > 1:
        raise InputError(f"{place}: vectors of widths {widths[0]} and {widths[1]}; expected one")
    return ForeignVectors(layers, _origin(contents, settings, numbering, said_by), tuple(left_out))


def _files(names: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The files to read, and those of a folder that are of no known format. Raises InputError."""
    paths: list[Path] = []
    others: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            members = sorted(member for member in path.iterdir() if member.name[0] != ".")
            members = [member for member in members if member.suffix != ".dvc"]
            vectors = [member for member in members if member.suffix in SUFFIXES]
            if not vectors:
                raise InputError(f"{path}: no vectors; expected files {', '.join(SUFFIXES)}")
            others += [member for member in members if member.suffix not in SUFFIXES]
            paths += vectors
        elif path.exists():
            paths.append(path)
        else:
            raise InputError(f"{path}: not found; expected a file or folder of vectors")
    if len(paths) > MAX_FILES:
        raise InputError(f"{paths[0].parent}: {len(paths)} files; expected one a layer")
    return paths, others


def _numbered(
    contents: Mapping[Path, FileContent], settings: ForeignVectorSettings, place: str
) -> _Numbered:
    """All vectors by their layers' numbers: of names, of rows, or as `settings.layers` says."""
    tensors = _tensors(contents)
    matrix = next(iter(tensors.values()), None)
    if len(tensors) == 1 and matrix is not None and matrix.ndim == 2:
        rows = settings.layers or range(len(matrix))
        if len(rows) != len(matrix):
            raise InputError(
                f"{place}: {len(matrix)} rows, but `layers` names {len(rows)}; expected as many"
            )
        return _Numbered(dict(zip(rows, matrix, strict=True)), by_rows=not settings.layers)
    for name, array in tensors.items():
        if array.ndim != 1 or not len(array):
            raise InputError(
                f"{place}: {name[:40]}: shape {array.shape}; expected (d_model,), or one tensor "
                "(layers, d_model)"
            )
    if not tensors:
        raise InputError(f"{place}: no tensor; expected a vector for each layer")
    return _Numbered(_by_layer([*tensors], tensors, settings, place), by_rows=False)


def _tensors(contents: Mapping[Path, FileContent]) -> dict[str, np.ndarray]:
    """The tensors of one file by their names, or of several by the files'. Raises InputError."""
    tensors: dict[str, np.ndarray] = {}
    for path, content in contents.items():
        if len(contents) > 1 and len(content.tensors) != 1:
            raise InputError(
                f"{path}: {len(content.tensors)} tensors, one file of several; expected one "
                "tensor (d_model,) a file, or a single file"
            )
        for name, array in content.tensors.items():
            key = path.stem if name == SINGLE or len(contents) > 1 else name
            if key in tensors:
                raise InputError(f"{path}: a second file of that name; expected one a layer")
            tensors[key] = _squeezed(array)
    return tensors


def _by_layer(
    names: list[str],
    tensors: Mapping[str, np.ndarray],
    settings: ForeignVectorSettings,
    place: str,
) -> dict[int, np.ndarray]:
    if settings.layers and len(settings.layers) != len(names):
        raise InputError(
            f"{place}: {len(names)} vectors, but `layers` names {len(settings.layers)}; expected "
            "as many"
        )
    numbers = settings.layers or layer_numbers(names)
    if numbers is None:
        raise InputError(
            f"{place}: the name{'s' if len(names) > 1 else ''} {names[0][:40]!r}"
            f"{', ...' if len(names) > 1 else ''} say no layer; expected one number that differs, "
            "as in layer_13; or name the `layers`"
        )
    by_layer: dict[int, str] = {}
    for number, name in zip(numbers, names, strict=True):
        if number in by_layer:
            raise InputError(
                f"{place}: layer {number} twice: {by_layer[number][:60]} and {name[:60]}; expected "
                "the vectors of one model and behaviour: name their files"
            )
        by_layer[number] = name
    return {number: tensors[name] for number, name in by_layer.items()}


def _squeezed(array: np.ndarray) -> np.ndarray:
    """Without dimensions of one: (1, d_model) and (layers, 1, d_model) are meant as vectors."""
    if array.ndim < 2:
        return array
    return array.reshape([length for length in array.shape[:-1] if length != 1] + [array.shape[-1]])


def _numbering(
    contents: Mapping[Path, FileContent],
    numbered: _Numbered,
    settings: ForeignVectorSettings,
    n_layers: int | None,
    place: str,
) -> tuple[Numbering, str]:
    """How the files count layers, and who says so. Raises InputError where nobody does."""
    if settings.numbering:
        return settings.numbering, "the user"
    stated: set[Numbering | None] = {content.numbering for content in contents.values()}
    if len(stated) == 1 and (numbering := stated.pop()):
        return numbering, "the format"
    if not numbered.by_rows and not settings.layers:
        return "blocks_from_0", "the names, as CAA's"
    n_rows = len(numbered.vectors)
    if numbered.by_rows and n_layers is not None and n_rows in (n_layers, n_layers + 1):
        rows = "as many rows as layers" if n_rows == n_layers else "one row more than layers"
        return ("blocks_from_0" if n_rows == n_layers else "hidden_states"), rows
    why = (
        f"the model has {n_layers} layers" if n_layers else "the model's layers are not known here"
    )
    raise InputError(
        f"{place}: {n_rows} vectors whose layers may be counted in several ways, as {why}; say "
        f"`numbering`: {NUMBERINGS}"
    )


def _origin(
    contents: Mapping[Path, FileContent],
    settings: ForeignVectorSettings,
    numbering: Numbering,
    said_by: str,
) -> VectorOrigin:
    facts: dict[str, str] = {}
    for content in contents.values():
        facts |= content.facts
    settings_of = {
        "revision": settings.revision,
        "site": settings.site,
        "position": settings.position,
    }
    known = {
        key: value if value != UNKNOWN else facts.get(key, UNKNOWN)
        for key, value in settings_of.items()
    }
    kinds = dict.fromkeys(one.format for one in contents.values())
    stored = dict.fromkeys(one.stored_as for one in contents.values())
    return VectorOrigin(
        files={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in contents},
        format=" and ".join(kinds),
        stored_as=" and ".join(stored),
        numbering=numbering,
        numbering_from=said_by,
        scale=settings.scale,
        negated=settings.negate,
        sign=settings.sign,
        model=settings.model,
        made_from_model=facts.get("model", facts.get("model_hint", UNKNOWN)),
        **known,
    )
