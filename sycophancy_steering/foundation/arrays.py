"""Array types: what they hold; shapes stand in each function's docstring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Scores, activations or statistics in double precision."""
Labels = NDArray[np.integer]
"""1 for a sycophantic answer, 0 for another."""
Names = NDArray[np.str_]
"""Items, families, letters: one for each answer."""
