"""Agreement of two vector files or folders as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from sycophancy_steering.analysis.vector_pairs import LayerAgreement, VectorFile
from sycophancy_steering.analysis.yardsticks import Yardstick
from sycophancy_steering.exchange.layer_numbers import layers_in_words
from sycophancy_steering.formatting.numbers import Interval, number_text
from sycophancy_steering.report.templates import TableData, markdown_table
from sycophancy_steering.statistics.estimates import Estimate


def agreement_table(agreements: Sequence[LayerAgreement]) -> str:
    """A row a layer: cosines, reliability of both, and the cosine corrected for it."""
    header = ["layer", "cosine"]
    if any(layer.reliabilities is None for layer in agreements):
        rows = [[one.layer, number_text(float(one.cosine.value))] for one in agreements]
        return markdown_table(TableData(header, rows))
    header += ["Mahalanobis cosine", "reliability, one", "two", "cosine over what noise allows"]
    rows = []
    for layer in agreements:
        assert layer.mahalanobis_cosine and layer.reliabilities
        rows.append(
            [
                layer.layer,
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


def gaps(one: VectorFile, two: VectorFile) -> list[str]:
    """The layers that only one of two vectors has, in lines."""
    return [
        f"{capitalised(layers_in_words(only))} {'is' if len(only) == 1 else 'are'} only in {path}."
        for path, only in (
            (one.path, sorted(one.layers.keys() - two.layers.keys())),
            (two.path, sorted(two.layers.keys() - one.layers.keys())),
        )
        if only
    ]


def opposite_signs(agreements: Sequence[LayerAgreement], beyond: float) -> list[str]:
    """The layers at which two vectors point opposite ways, with cosines below `-beyond`: a line."""
    opposite = [one.layer for one in agreements if float(one.cosine.value) < -beyond]
    return [f"Opposite sign at {layers_in_words(opposite)}."] if opposite else []


def yardstick_line(yardstick: Yardstick) -> str:
    """The range of cosines with unrelated vectors."""
    low, high = number_text(yardstick.low), number_text(yardstick.high)
    return (
        f"Cosines of either with {yardstick.n_vectors} {yardstick.name}, over all layers: {low} "
        f"to {high}."
    )


def capitalised(text: str) -> str:
    """With a first capital letter."""
    return text[:1].upper() + text[1:]


def _interval(estimate: Estimate) -> Interval:
    return Interval(float(estimate.value), float(estimate.low), float(estimate.high))
