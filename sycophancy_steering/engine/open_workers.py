"""Opens the workers that `compute` of params.yaml asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.compute import ComputeSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.engine.ray_process import RayProcess, check_workers
from sycophancy_steering.engine.workers import Workers, hold_model, local_workers


@contextmanager
def open_workers(
    folder: Path,
    model_settings: ModelSettings,
    settings: ActivationSettings,
    compute: ComputeSettings,
    process: RayProcess | None = None,
) -> Iterator[Workers]:
    """Workers that hold the model in `folder`; they take the place of `process`, where it was
    started already, and end with it. Raises InputError."""
    if compute.engine == "local":
        yield local_workers(load_language_model(folder, model_settings), settings)
        return
    check_workers(compute, model_settings, folder.name)
    from sycophancy_steering.engine.ray_workers import RayWorkers

    loader = partial(hold_model, folder, model_settings, settings)
    workers = RayWorkers(folder, compute, loader, os.getcwd(), process)
    try:
        yield workers
    finally:
        workers.close()
