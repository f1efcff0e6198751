"""The smallest true AUROC of a given read-out that the answers of a family are enough for.

Here the vector and the layer are given; that they have to be made and selected from few answers is
what planted directions show (`power_curve`).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from sycophancy_steering.power.planted_questions import Questions
from sycophancy_steering.power.power_curve import smallest_size
from sycophancy_steering.statistics.auroc import clustered_auroc

AUROCS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
SEED = 2


def detectable_auroc(part: Questions, n_draws: int) -> float | None:
    """The smallest true AUROC whose interval lies above 0.5 in 80% of random studies; or None.

    Scores are binormal: standard normal, and for planted questions `sqrt(2) * z(AUROC)` higher
    (Hanley and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747).
    """
    if not part.has_both_classes:
        return None
    rng = np.random.default_rng(SEED)
    planted = [part.draw_planted(rng) for _ in range(n_draws)]
    noise = rng.standard_normal((n_draws, len(part)))
    n_found = [
        sum(
            bool(clustered_auroc(own + shift * labels, labels, part.items).low > 0.5)
            for own, labels in zip(noise, planted, strict=True)
        )
        for shift in np.sqrt(2) * ndtri(np.array(AUROCS))
    ]
    return smallest_size(AUROCS, n_found, n_draws)
