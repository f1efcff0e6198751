"""What is to be done to a model (`interventions` in params.yaml), and how tables say what was."""

from __future__ import annotations

import numpy as np
import polars as pl

OWN = "own"
CONDITION = {"vector": pl.String, "direction": pl.String, "kind": pl.String}
CONDITION |= {"layer": pl.Int64, "second": pl.Int64, "dose": pl.Float64}
"""The columns that say what was done."""


def evenly_spaced_layers(n_layers: int, depth: int) -> list[int]:
    """`n_layers` layers of a model with `depth`, evenly spaced, the first and last among them."""
    return sorted({round(layer) for layer in np.linspace(0, depth - 1, min(n_layers, depth))})
