"""The set `foreign` of a model: its vectors from elsewhere, beside those of its extraction sets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from sycophancy_steering.config.foreign_vectors import FOREIGN, ForeignVectorSettings
from sycophancy_steering.exchange.foreign_vectors import ForeignVectors
from sycophancy_steering.exchange.importing import SUFFIX, read_imported, summary
from sycophancy_steering.exchange.reading import read_foreign_vectors
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.schemas.paths import FOREIGN_VECTORS, VECTORS
from sycophancy_steering.storage.activation_shards import Origin
from sycophancy_steering.storage.vector_files import (
    VariantIndex,
    write_layers,
    write_variant_index,
)


def write_foreign_set(
    model: str, shape: Origin, entries: Mapping[str, ForeignVectorSettings]
) -> list[str]:
    """Writes the set `foreign` of a model whose activations have `shape`, if there are such
    vectors, and removes an old one otherwise; returns what was done, in lines. Raises InputError.
    """
    target = VECTORS / model / FOREIGN
    vectors = foreign_vectors_of(model, shape, entries)
    if not vectors:
        shutil.rmtree(target, ignore_errors=True)
        return []
    with atomic_write(target) as draft:
        draft.mkdir()
        for name, one in vectors.items():
            about = {"origin": one.origin.as_dict(), "model": model, "null": False}
            about["n_layers"] = shape.n_layers
            write_layers(draft / f"{name}{SUFFIX}", one.layers, about)
        write_variant_index(draft, VariantIndex([*vectors], {}))
    lines = [f"{target}: {len(vectors)} vectors from elsewhere"]
    for name, one in vectors.items():
        lines += [f"  {name}: {line}" for line in summary(one, shape.n_layers)]
    return lines


def foreign_vectors_of(
    model: str, shape: Origin, entries: Mapping[str, ForeignVectorSettings]
) -> dict[str, ForeignVectors]:
    """The vectors from elsewhere of a model by name: imported files, then `entries` of params.yaml.

    Raises InputError for those that cannot be vectors of this model, and for a name that both have.
    """
    vectors = {}
    for path in imported_files():
        if path.stem in entries:
            raise InputError(
                f"params.yaml: foreign_vectors.{path.stem}: {path} has that name too; expected "
                "each once"
            )
        if path.resolve() not in _files_of(entries):
            imported = read_imported(path)
            if imported.origin.model == model:
                imported.check_fit(str(path), model, shape.n_layers, shape.d_model)
                vectors[path.stem] = imported
    for name, settings in entries.items():
        if settings.model == model:
            read = read_foreign_vectors(settings, shape.n_layers)
            place = f"params.yaml: foreign_vectors.{name}"
            read.check_fit(place, model, shape.n_layers, shape.d_model)
            vectors[name] = read
    return vectors


def imported_files() -> list[Path]:
    """The files that vectors were imported to."""
    return sorted(FOREIGN_VECTORS.glob(f"*{SUFFIX}"))


def _files_of(entries: Mapping[str, ForeignVectorSettings]) -> set[Path]:
    return {Path(name).resolve() for entry in entries.values() for name in entry.files}


def outside_of_dvc(entries: Mapping[str, ForeignVectorSettings]) -> Iterator[str]:
    """Entries with files that DVC does not watch, each as a sentence."""
    watched = FOREIGN_VECTORS.resolve()
    for name, settings in entries.items():
        if any(not Path(file).resolve().is_relative_to(watched) for file in settings.files):
            yield (
                f"foreign_vectors.{name}: files outside {FOREIGN_VECTORS}, which DVC does not "
                "watch; after a change run `dvc repro -f vectors`"
            )


def of_other_models(models: Mapping[str, str]) -> Iterator[str]:
    """Imported files whose model is not studied, each as a sentence."""
    for path in imported_files():
        if (model := read_imported(path).origin.model) not in models:
            yield f"{path}: vectors of {model}, which is not among `models`; left out"
