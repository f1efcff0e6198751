"""Free memory goes back to the operating system; garbage is searched for again after an error."""

from __future__ import annotations

import gc
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from sycophancy_steering.foundation.memory import no_garbage_collection, return_free_memory

CHUNK = 2**16
"""Bytes: too few for the C library to map each chunk by itself."""


def resident_mb() -> float:
    """Memory of this process that is in use, as the operating system sees it."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and frees memory of glibc")
def test_gaps_between_arrays_are_returned():
    arrays = [np.ones(CHUNK, dtype=np.uint8) for _ in range(4000)]
    kept = arrays[::8]
    before = resident_mb()
    del arrays
    return_free_memory()
    assert before - resident_mb() > 0.75 * 4000 * CHUNK / 2**20
    assert all(array.all() for array in kept)


def fail_without_garbage_collection() -> None:
    with no_garbage_collection():
        assert not gc.isenabled()
        raise ValueError("bad row")


def test_garbage_is_collected_again_after_an_error():
    with pytest.raises(ValueError, match="bad row"):
        fail_without_garbage_collection()
    assert gc.isenabled()
