"""Agreement of two vector files or folders as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from sycophancy_steering.analysis.vector_pairs import LayerAgreement
from sycophancy_steering.report.summary import interval, markdown_table, shown
from sycophancy_steering.statistics.estimates import Estimate


def agreement_table(agreements: Sequence[LayerAgreement]) -> str:
    """A row a layer: cosines, reliability of both, and the cosine corrected for it."""
    header = ["layer", "cosine"]
    if any(layer.reliabilities is None for layer in agreements):
        rows = [[str(n), shown(float(layer.cosine.value))] for n, layer in enumerate(agreements)]
        return markdown_table(header, rows)
    header += ["Mahalanobis cosine", "reliability, one", "two", "cosine over what noise allows"]
    rows = []
    for n, layer in enumerate(agreements):
        assert layer.mahalanobis_cosine and layer.reliabilities
        assert layer.disattenuated_cosine is not None
        rows.append(
            [
                str(n),
                _estimate(layer.cosine),
                _estimate(layer.mahalanobis_cosine),
                *map(shown, layer.reliabilities),
                shown(layer.disattenuated_cosine),
            ]
        )
    return markdown_table(header, rows)


def principal_angle_table(angles: Sequence[Sequence[float]]) -> str:
    """A row a layer: the principal angles in degrees, smallest first."""
    rows = [[str(n), " ".join(f"{angle:.0f}" for angle in layer)] for n, layer in enumerate(angles)]
    return markdown_table(["layer", "principal angles in degrees, smallest first"], rows)


def _estimate(estimate: Estimate) -> str:
    return interval(float(estimate.value), float(estimate.low), float(estimate.high))
