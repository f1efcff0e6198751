"""Puts a model under data/models: a pointer to the hub or to a folder, or an untrained model.

    python stages/checkpoint.py random_llama

Reads `checkpoint.NAME` of params.yaml; writes data/models/NAME: for `hub` and `folder` a pointer
(source.json) pinned to a commit or to a hash of the weights; for `random` an untrained model, of
which nothing can be predicted, so that every interval should hold 0.5.
"""

from __future__ import annotations

import json
from pathlib import Path

from sycophancy_steering.config.checkpoint import (
    Checkpoint,
    FolderCheckpoint,
    HubCheckpoint,
    RandomCheckpoint,
)
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.engine.language_model import SOURCE_FILE, fingerprint
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.organisms.random_model import save_random_llama


@command(
    __doc__,
    model="an entry of checkpoint in params.yaml",
)
def main(model: str) -> None:
    checkpoint = read_section(Checkpoint, "checkpoint", model)
    with atomic_write(Path(f"data/models/{model}")) as draft:
        draft.mkdir()
        if isinstance(checkpoint, RandomCheckpoint):
            save_random_llama(draft, checkpoint.seed)
        else:
            source = {"name": checkpoint.name, "revision": pinned_revision(checkpoint, model)}
            (draft / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
    print(f"data/models/{model}: {checkpoint.kind}")


def pinned_revision(checkpoint: HubCheckpoint | FolderCheckpoint, name: str) -> str:
    """What the weights are pinned to. Raises InputError for a folder without a model."""
    if checkpoint.kind == "hub":
        return checkpoint.revision
    if not (folder := Path(checkpoint.name)).is_dir() or not list(folder.glob("config.json")):
        raise InputError(
            f"params.yaml: checkpoint.{name}.name: expected a folder with config.json, "
            f"found {folder}"
        )
    return fingerprint(folder)


if __name__ == "__main__":
    main()
