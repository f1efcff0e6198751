"""Puts a model under data/models: a pointer to a hub's or a folder's, or a random-weight one.

    python stages/checkpoint.py random_llama

Reads `checkpoint.NAME` of params.yaml; writes data/models/NAME: for `hub` and `folder` a pointer
(source.json) pinned to a commit or to a hash of the weights, for `random` an untrained model, on
which nothing can be predicted and every interval has to hold 0.5.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from sycophancy_steering.config.checkpoint import Checkpoint
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
        if checkpoint.kind == "random":
            save_random_llama(draft, checkpoint.seed)
        else:
            source = {"name": checkpoint.name, "revision": pinned(checkpoint, model)}
            (draft / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
    print(f"data/models/{model}: {checkpoint.kind} {checkpoint.name}".rstrip())


def pinned(checkpoint: Checkpoint, name: str) -> str:
    """What the weights are pinned to. InputError for a moving revision, or a folder of no model."""
    key = f"params.yaml: checkpoint.{name}"
    if checkpoint.kind == "folder":
        if not (folder := Path(checkpoint.name)).is_dir() or not list(folder.glob("config.json")):
            raise InputError(f"{key}.name: expected a folder with config.json, found {folder}")
        return fingerprint(folder)
    if not re.fullmatch(r"[0-9a-f]{40}", checkpoint.revision):
        raise InputError(
            f"{key}.revision: expected the full 40-digit commit hash, so that the weights stay the "
            f"same, found {checkpoint.revision!r}"
        )
    return checkpoint.revision


if __name__ == "__main__":
    main()
