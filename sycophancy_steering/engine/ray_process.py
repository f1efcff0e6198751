"""The process beside a stage that speaks to Ray (`ray_dispatcher.py`), seen from the stage.

Light to import: a stage starts it first, so that Ray starts while torch is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path

from sycophancy_steering.config.compute import ComputeSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine import ray_dispatcher
from sycophancy_steering.foundation.errors import InputError


class RayProcess:
    """A dispatcher that connects to Ray, or starts it, and then waits for what to load."""

    def __init__(self, compute: ComputeSettings):
        self.connection, theirs = Pipe()
        # Not by `multiprocessing`, which would import the stage, and torch with it, once more.
        self._process = subprocess.Popen(
            [sys.executable, "-m", ray_dispatcher.__name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=_settings_of_ray(compute) | os.environ,
        )
        theirs.close()
        self.connection.send(compute)

    def close(self) -> None:
        """Ends the workers, and Ray if it was started here; more than once is as well."""
        self.connection.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _settings_of_ray(compute: ComputeSettings) -> dict[str, str]:
    """Environment variables that a user may set otherwise.

    A Ray that is started where a token exists lets in only who shows it, which its clients do only
    where they are told to: https://docs.ray.io/en/latest/ray-security/token-auth.html.
    """
    named = os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    has_token = named or (Path.home() / ".ray/auth_token").exists()
    mode = {"RAY_AUTH_MODE": "token"} if has_token or not compute.address else {}
    return {"RAY_USAGE_STATS_ENABLED": "0"} | mode


@contextmanager
def ray_process(
    compute: ComputeSettings, models: Mapping[str, ModelSettings]
) -> Iterator[RayProcess | None]:
    """A dispatcher where `compute` asks for Ray, else None. Raises InputError where one of the
    `models` cannot be run so."""
    if compute.engine == "local":
        yield None
        return
    for name, settings in models.items():
        check_workers(compute, settings, name)
    process = RayProcess(compute)
    try:
        yield process
    finally:
        process.close()


def check_workers(compute: ComputeSettings, model_settings: ModelSettings, model: str) -> None:
    """Raises InputError for what cannot be had."""
    if not ray_dispatcher.IS_INSTALLED:
        raise InputError(
            "params.yaml: compute.engine: ray is not installed; `pip install '.[ray]'` has it"
        )
    on_cpu, gpus = model_settings.device == "cpu", compute.gpus_per_worker
    if (on_cpu and gpus) or not (on_cpu or gpus or model_settings.device == "auto"):
        expected = "0 for a model on the CPU" if on_cpu else "more than 0 for a model on a GPU"
        raise InputError(
            f"params.yaml: compute.gpus_per_worker: expected {expected} (model.{model}.device is "
            f"{model_settings.device}), found {gpus:g}"
        )
