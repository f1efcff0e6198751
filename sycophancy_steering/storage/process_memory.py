"""What a process has to be told about memory before it begins.

Weights are read from end to end in every pass, and with pages of two megabytes, where the system
gives them to those who ask, looking pages up takes less of the time.
"""

from __future__ import annotations

import os
import sys

SETTINGS = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def ask_for_memory() -> None:
    """Starts this process anew with `SETTINGS`, once, on Linux; what is set already stays."""
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ.update(SETTINGS | os.environ)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
