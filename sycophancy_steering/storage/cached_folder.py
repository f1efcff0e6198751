"""Folders of results that need not be computed again, on this machine or after `dvc pull`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.storage.dvc_cache import cached_output
from sycophancy_steering.storage.locks import waiting_lock
from sycophancy_steering.storage.result_cache import cache_path

INPUTS = "inputs.sha256"
"""In each folder: the digest of all that its results depend on."""


def write_cached_folder(output: Path, digest: str, compute: Callable[[Path], None]) -> bool:
    """Writes the folder `output`; returns whether its results were taken from a cache.

    `compute(folder)` writes them, and is called only if neither `.work` nor DVC's cache has results
    of the same `digest` (`storage.result_cache`). A run that needs the same results at the same
    time waits for them. `output` is, or lies in, an output of a stage.
    """
    cached = cache_path(output.parent.name, digest, "")
    with waiting_lock(digest, str(output)):
        is_cached = cached.exists() or _import_pulled(output, digest, cached)
        if not is_cached:
            with atomic_write(cached) as draft:
                draft.mkdir()
                compute(draft)
                (draft / INPUTS).write_text(digest)
    with atomic_write(output) as draft:
        shutil.copytree(cached, draft)
    return is_cached


def _import_pulled(output: Path, digest: str, cached: Path) -> bool:
    """Copies what `output` last held from DVC's cache to `cached`, if its digest is the same."""
    files = cached_output(output)
    if INPUTS not in files or files[INPUTS].read_text() != digest:
        return False
    with atomic_write(cached) as draft:
        draft.mkdir()
        for name, source in files.items():
            shutil.copyfile(source, draft / name)
    return True
