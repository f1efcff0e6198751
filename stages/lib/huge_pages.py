"""Memory in pages of two megabytes, where the system gives them to those who ask.

Weights are read from end to end in every pass, and with pages of four kilobytes looking these up
takes a twentieth of the time (`benchmarks/extraction.py`).
"""

from __future__ import annotations

import os
import sys

TUNABLES, HUGE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"


def ask_for_huge_pages() -> None:
    """Starts this process anew with what glibc has to be told before it begins, once, on Linux."""
    if sys.platform == "linux" and TUNABLES not in os.environ:
        os.environ[TUNABLES] = HUGE
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
