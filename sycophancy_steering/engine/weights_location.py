"""Finds the weights of a model, in its folder or where its `source.json` points to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.weights_cache import cached_weights, sha256_of

SOURCE_FILE = "source.json"
"""In a model's folder: where the weights are, if not in it (stages/checkpoint.py)."""


@dataclass(frozen=True)
class WeightsLocation:
    """Where a model's weights are."""

    kind: Literal["folder", "gguf", "hub"]
    name: str
    """A folder, a file, or what to call them in a message."""
    revision: str
    path: Path = Path()
    """Of a GGUF file."""

    @property
    def short_revision(self) -> str:
        """The commit, or the hash as `fingerprint` shortens it."""
        return self.revision if self.kind == "hub" else self.revision[:16]


def locate_weights(folder: Path) -> WeightsLocation:
    """Where the weights of the model `folder` are. Raises InputError where they are not, or differ
    from those that its `source.json` is pinned to."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such model folder; run `dvc repro organism checkpoint`")
    pointer = folder / SOURCE_FILE
    source = json.loads(pointer.read_text()) if pointer.exists() else {"name": str(folder)}
    name, again = source["name"], f"run `dvc repro -f checkpoint@{folder.name}`"
    if source.get("kind") in ("package", "gguf"):
        packaged = source["kind"] == "package"
        path = cached_weights(source["revision"]) if packaged else Path(name)
        if not path.is_file():
            raise InputError(f"{name}: not on this machine ({path}); {again}")
        weights, actual = WeightsLocation("gguf", name, source["revision"], path), sha256_of(path)
    elif Path(name).is_dir():
        if not list(Path(name).glob("tokenizer*")):
            raise InputError(
                f"{name}: a model folder without a tokenizer; save tokenizer.json there"
            )
        actual = fingerprint(Path(name))
        weights = WeightsLocation("folder", name, source.get("revision") or actual)
    else:
        return WeightsLocation("hub", name, source["revision"])
    if actual != weights.revision:
        raise InputError(
            f"{name}: the weights differ from those that {pointer} is pinned to; {again} to study "
            "the new ones"
        )
    return weights


def fingerprint(folder: Path) -> str:
    """Hash of the weights, configuration and tokenizer in a model folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in {".safetensors", ".json", ".jinja", ".model"}:
            digest.update(path.name.encode())
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
