"""Gives free memory back to the operating system, and pauses the search for garbage."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Within the context, Python does not search for objects that refer to one another.

    For code that makes hundreds of thousands of objects that all stay: searching them again and
    again takes a quarter to a third of the time that question files take to be read
    (benchmarks/readers.py).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def return_free_memory() -> None:
    """Returns the heap's free pages to the operating system, where the C library is glibc.

    Tensors of many sizes leave gaps between those that stay, which glibc keeps: after ten batches
    of SmolLM2, 1.1 GB of them. Extracting 620 questions peaks at 3.1 GB instead of 4.0 GB, and
    takes as long (`python stages/activations.py smollm2 english_held_out`).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
