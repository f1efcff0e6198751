"""Every statistic of read-outs on the answers of one cell."""

from __future__ import annotations

import numpy as np

from sycophancy_steering.analysis.cells import Cell, Numbers
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.grader_error import GraderError
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.average_precision import average_precision
from sycophancy_steering.statistics.calibration import brier, calibration_error, fit_slope
from sycophancy_steering.statistics.correlation import clustered_correlation
from sycophancy_steering.statistics.estimates import Estimate, central_interval, undefined
from sycophancy_steering.statistics.grader_correction import (
    null_without_grader_error,
    without_grader_error,
)
from sycophancy_steering.statistics.permuted_labels import permuted_auroc_range
from sycophancy_steering.statistics.rank_correlation import clustered_rank_correlation
from sycophancy_steering.statistics.stratified_auroc import clustered_stratified_auroc

N_LABEL_SHUFFLES = 200


def cell_metrics(
    cell: Cell, scores: Floats, fitted_on: Cell | None, seed: int, error: GraderError | None
) -> dict[str, Floats]:
    """Column -> (k,): the statistics of `scores` (k, N), those of all answers, on the cell's.

    Probabilities come from a calibration fitted to the answers of `fitted_on`, never to the cell's
    own; without it there are none. With `error`, AUROCs are corrected for wrong labels, but those
    within items and templates are not: there, other shares of the labels may be wrong.
    """
    own_scores = np.take(scores, cell.rows, axis=1)
    unknown = undefined((len(scores),))
    area = clustered_auroc(own_scores, cell.labels, cell.items)
    shuffled = permuted_auroc_range(own_scores, cell.labels, N_LABEL_SHUFFLES, seed)
    if error:
        area = without_grader_error(area, error)
        low, high = (null_without_grader_error(bound, error) for bound in shuffled)
        shuffled = low, high
    shifts = cell.shifts
    estimates = {
        "auroc": area,
        "within_item_auroc": auroc_within(cell, own_scores, cell.items),
        "within_template_auroc": auroc_within(cell, own_scores, cell.templates),
        "rank_correlation": clustered_rank_correlation(
            np.take(scores, shifts.rows, axis=1), shifts.values, shifts.items
        ),
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


def auroc_within(cell: Cell, scores: Floats, strata: Numbers) -> Estimate:
    """AUROCs (k,) of a cell's `scores` (k, n) within `strata`; NaN where there is one stratum only,
    in which nothing is held fixed."""
    if len(set(strata.tolist())) < 2:
        return undefined((len(scores),))
    return clustered_stratified_auroc(scores, cell.labels, strata, cell.items).auroc


def random_direction_range(aurocs: Floats, error: GraderError | None) -> dict[str, object]:
    """The central 95% of random directions' AUROCs (k,)."""
    low, high = (
        null_without_grader_error(bound, error) if error else bound
        for bound in central_interval(aurocs)
    )
    return {"random_low": float(low), "random_high": float(high)}
