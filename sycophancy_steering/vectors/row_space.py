"""The space that a few activations span, which is all that a penalised fit to them can use."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.foundation.arrays import Floats


def row_space(rows: Floats) -> Floats:
    """An orthonormal basis (width, n), by columns, of a space that holds `rows` (n, width), of
    which there are fewer than coordinates."""
    return np.linalg.qr(rows.T)[0]
