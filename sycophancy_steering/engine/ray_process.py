"""The process beside a stage that speaks to Ray (`ray_dispatcher.py`), seen from the stage.

Light to import: a stage starts it first, so that Ray starts while torch is imported.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe

from sycophancy_steering.config.compute import ComputeSettings
from sycophancy_steering.engine import ray_dispatcher


class RayProcess:
    """A dispatcher that connects to Ray, or starts it, and then waits for what to load."""

    def __init__(self, compute: ComputeSettings):
        self.connection, theirs = Pipe()
        # Not by `multiprocessing`, which would import the stage, and torch with it, once more.
        self._process = subprocess.Popen(
            [sys.executable, "-m", ray_dispatcher.__name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
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


@contextmanager
def ray_process(compute: ComputeSettings) -> Iterator[RayProcess | None]:
    """A dispatcher where `compute` asks for Ray, else None."""
    if compute.engine == "local" or not ray_dispatcher.IS_INSTALLED:
        yield None
        return
    process = RayProcess(compute)
    try:
        yield process
    finally:
        process.close()
