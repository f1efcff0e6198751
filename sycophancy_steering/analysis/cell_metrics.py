"""Everything that is measured of read-outs on the answers of a cell."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics.average_precision import average_precision
from sycophancy_steering.statistics.calibration import brier, calibration_error, fit
from sycophancy_steering.statistics.discrimination import (
    Estimate,
    clustered_auroc,
    clustered_correlation,
    middle,
    shuffled_auroc,
    stretched,
    without_label_noise,
)

SHUFFLES = 200


def measures(
    cell: Cell, read: Floats, fitted_on: Cell | None, seed: int, noise: GraderError | None
) -> dict[str, Floats]:
    """Column -> (k,) of `read` (k, N), the scores of all answers, on the answers of a cell.

    Probabilities come from a fit of one parameter on the answers of `fitted_on`, never on the
    cell's own; without it there are none.
    """
    scores = np.take(read, cell.rows, axis=1)
    one_class = cell.labels.min(initial=1) == cell.labels.max(initial=0)
    undefined = Estimate(*(np.full(len(read), np.nan) for _ in range(3)))
    area = clustered_auroc(scores, cell.labels, cell.items)
    shuffled = shuffled_auroc(scores, cell.labels, SHUFFLES, seed)
    if noise:
        area = without_label_noise(area, noise)
        shuffled = stretched(shuffled[0], noise), stretched(shuffled[1], noise)
    found = {
        "auroc": area,
        "auprc": average_precision(scores, cell.labels, cell.items),
        "correlation": clustered_correlation(scores, cell.labels, cell.items),
        "brier": undefined,
        "calibration": undefined,
    }
    if fitted_on and not one_class and len(set(fitted_on.labels)) == 2:
        likely = fit(np.take(read, fitted_on.rows, axis=1), fitted_on.labels).probabilities(scores)
        found["brier"] = brier(likely, cell.labels, cell.items)
        found["calibration"] = calibration_error(likely, cell.labels, cell.items)
    columns: dict[str, Floats] = {}
    for name, each in found.items():
        columns |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    return columns | {"shuffled_low": shuffled[0], "shuffled_high": shuffled[1]}


def random_range(areas: Floats, noise: GraderError | None) -> dict[str, object]:
    """The range that holds 95% of random directions' AUROCs (k,)."""
    low, high = (stretched(end, noise) if noise else end for end in middle(areas))
    return {"random_low": float(low), "random_high": float(high)}
