"""Whether a vector moves answers further than random vectors of the same norm do."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import t

from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.interventions.effects import KEYS, effects
from sycophancy_steering.schemas.interventions import CAUSAL_EFFECTS, OWN

EFFECTS_OF_A_VECTOR = ("slope", "removal")


def causal_effects(answers: pl.DataFrame) -> pl.DataFrame:
    """A row a vector and family: the table `CAUSAL_EFFECTS` of the part `dose_response`."""
    if not len(answers):
        return CAUSAL_EFFECTS.empty()
    own = effects(answers.filter(pl.col("direction") == OWN))
    of_random = [
        effects(group)
        for _, group in answers.filter(pl.col("direction") != OWN).group_by("direction")
    ]
    random = pl.concat(of_random)
    rows = []
    for row in own.iter_rows(named=True):
        beside = random.filter(pl.col(key) == row[key] for key in KEYS)
        columns: dict[str, object] = {"n_random": len(beside)}
        for effect in EFFECTS_OF_A_VECTOR:
            values = beside[effect].drop_nulls().to_numpy()
            if row[effect] is None or not len(values):
                continue
            columns[f"random_{effect}_lowest"] = float(values.min())
            columns[f"random_{effect}_highest"] = float(values.max())
            columns[f"{effect}_p"] = p_among_random(row[effect], values)
        rows.append({**row, **columns})
    return pl.DataFrame(rows, schema=CAUSAL_EFFECTS.columns)


def p_among_random(effect: float, random: Floats) -> float:
    """Two-sided p-value of a vector's effect among those of random vectors, (n,).

    To first order an effect is the product of the vector with a gradient, so that effects of random
    vectors of many dimensions are normal around 0. With their variance estimated from n of them,
    the ratio has Student's t distribution with n degrees of freedom.
    """
    scale = float(np.sqrt((random**2).mean()))
    if scale == 0:
        return 1.0 if effect == 0 else 0.0
    return float(2 * t.sf(abs(effect) / scale, len(random)))
