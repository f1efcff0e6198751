"""Coordinates of the residual stream that are far larger than the others.

Massive activations (Sun et al. 2024, https://arxiv.org/abs/2402.17762) are single numbers above 100
and about a thousand times the median magnitude; they sit at few tokens, such as the first one. At
other tokens the same coordinates are often large still, and a cosine or a mean difference can be
about them alone (rogue dimensions: Timkey and van Schijndel 2021,
https://arxiv.org/abs/2109.04404).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycophancy_steering.foundation.arrays import Floats

LARGE_RATIO = 20
"""A coordinate whose mean magnitude is so many times the median coordinate's is large. Of a normal
distribution, the largest of a million coordinates is 7 times the median."""
MASSIVE_RATIO, MASSIVE_MAGNITUDE = 1000, 100
"""Sun et al.'s thresholds for a massive activation."""


def large_dimensions(magnitudes: Floats) -> NDArray[np.bool_]:
    """(d_model,) which coordinates are large, by their mean magnitudes (d_model,)."""
    return magnitudes > LARGE_RATIO * np.median(magnitudes)


def massive_activations(activations: Floats) -> NDArray[np.bool_]:
    """(n, d_model) which of `activations` are massive, each row held against its own median."""
    magnitudes = np.abs(activations)
    median = np.median(magnitudes, axis=1, keepdims=True)
    return (magnitudes > MASSIVE_MAGNITUDE) & (magnitudes >= MASSIVE_RATIO * median)
