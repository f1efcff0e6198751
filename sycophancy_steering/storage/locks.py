"""Locks between runs that share `.work`, such as the experiments of a queue."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from sycophancy_steering.schemas.paths import CACHE


@contextmanager
def waiting_lock(name: str, work: str) -> Iterator[None]:
    """Holds the lock `name`. While another process holds it, waits, and prints a line that says
    for what: `work`, in words. The lock of a process that is killed is free."""
    path = CACHE / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{work}: waiting for another run that does the same (lock: {path})", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
