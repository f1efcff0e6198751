"""Every statistic of read-outs on the answers of one cell."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.average_precision import average_precision
from sycophancy_steering.statistics.calibration import brier, calibration_error, fit_slope
from sycophancy_steering.statistics.correlation import clustered_correlation
from sycophancy_steering.statistics.estimates import central_interval, undefined
from sycophancy_steering.statistics.grader_correction import (
    null_without_grader_error,
    without_grader_error,
)
from sycophancy_steering.statistics.permuted_labels import permuted_auroc_range

N_LABEL_SHUFFLES = 200


def cell_metrics(
    cell: Cell, scores: Floats, fitted_on: Cell | None, seed: int, error: GraderError | None
) -> dict[str, Floats]:
    """Column -> (k,): the statistics of `scores` (k, N), those of all answers, on the cell's.

    Probabilities come from a calibration fitted to the answers of `fitted_on`, never to the cell's
    own; without it there are none. With `error`, AUROCs are corrected for wrong labels.
    """
    own_scores = np.take(scores, cell.rows, axis=1)
    unknown = undefined((len(scores),))
    area = clustered_auroc(own_scores, cell.labels, cell.items)
    shuffled = permuted_auroc_range(own_scores, cell.labels, N_LABEL_SHUFFLES, seed)
    if error:
        area = without_grader_error(area, error)
        low, high = (null_without_grader_error(bound, error) for bound in shuffled)
        shuffled = low, high
    estimates = {
        "auroc": area,
        "auprc": average_precision(own_scores, cell.labels, cell.items),
        "correlation": clustered_correlation(own_scores, cell.labels, cell.items),
        "brier": unknown,
        "calibration_error": unknown,
    }
    if fitted_on and cell.both_classes and fitted_on.both_classes:
        calibration = fit_slope(np.take(scores, fitted_on.rows, axis=1), fitted_on.labels)
        probabilities = calibration.probabilities(own_scores)
        estimates["brier"] = brier(probabilities, cell.labels, cell.items)
        estimates["calibration_error"] = calibration_error(probabilities, cell.labels, cell.items)
    columns: dict[str, Floats] = {}
    for name, estimate in estimates.items():
        columns |= estimate.columns(name)
    return columns | {"shuffled_low": shuffled[0], "shuffled_high": shuffled[1]}


def random_direction_range(aurocs: Floats, error: GraderError | None) -> dict[str, object]:
    """The central 95% of random directions' AUROCs (k,)."""
    low, high = (
        null_without_grader_error(bound, error) if error else bound
        for bound in central_interval(aurocs)
    )
    return {"random_low": float(low), "random_high": float(high)}
