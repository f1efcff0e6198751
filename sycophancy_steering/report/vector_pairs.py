"""Agreement of two vector files or folders as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from sycophancy_steering.analysis.vector_pairs import LayerAgreement
from sycophancy_steering.formatting.numbers import Interval, number_text
from sycophancy_steering.report.templates import TableData, markdown_table
from sycophancy_steering.statistics.estimates import Estimate


def agreement_table(agreements: Sequence[LayerAgreement]) -> str:
    """A row a layer: cosines, reliability of both, and the cosine corrected for it."""
    header = ["layer", "cosine"]
    if any(layer.reliabilities is None for layer in agreements):
        rows = [[n, number_text(float(layer.cosine.value))] for n, layer in enumerate(agreements)]
        return markdown_table(TableData(header, rows))
    header += ["Mahalanobis cosine", "reliability, one", "two", "cosine over what noise allows"]
    rows = []
    for n, layer in enumerate(agreements):
        assert layer.mahalanobis_cosine and layer.reliabilities
        rows.append(
            [
                n,
                _interval(layer.cosine),
                _interval(layer.mahalanobis_cosine),
                *map(number_text, layer.reliabilities),
                number_text(layer.disattenuated_cosine),
            ]
        )
    return markdown_table(TableData(header, rows))


def principal_angle_table(angles: Sequence[Sequence[float]]) -> str:
    """A row a layer: the principal angles in degrees, smallest first."""
    rows = [[n, " ".join(f"{angle:.0f}" for angle in layer)] for n, layer in enumerate(angles)]
    return markdown_table(TableData(["layer", "principal angles in degrees, smallest first"], rows))


def _interval(estimate: Estimate) -> Interval:
    return Interval(float(estimate.value), float(estimate.low), float(estimate.high))
