"""Coordinates far larger than the others, and whether vectors are about them."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.formatting.numbers import interval_of, number_text, share_text
from sycophancy_steering.report.templates import Section, TableData

ROBUST = "-robust"
"""Ends the name of the same variant without these coordinates."""
HEADER = [
    "coordinate",
    "at",
    "layers",
    "times the median",
    "massive activations",
    "of the mean difference",
    "of its noise",
]


def large_dimensions_section(
    dimensions: pl.DataFrame, differences: pl.DataFrame, headline: str, layer: int
) -> Section | None:
    """The large coordinates of the headline's prompt set, and the headline without them.

    `dimensions` and `differences` are the model's tables; `layer` is the headline's. None where no
    coordinate is large.
    """
    prompt_set = headline.partition("/")[0]
    of_set = dimensions.filter(pl.col("prompt_set") == prompt_set)
    if not len(of_set):
        return None
    rows = [
        _row(part.sort("layer"), layer)
        for _, part in of_set.sort("times_median", descending=True).group_by(
            "dimension", "position", maintain_order=True
        )
    ]
    without = differences.filter(pl.col("vector") == headline + ROBUST)
    return Section(
        "large_dimensions",
        {
            "prompt_set": prompt_set,
            "headline": headline,
            "layer": layer,
            "massive": bool((dimensions["massive_share"] > 0).any()),
            "dimensions": TableData(HEADER, rows),
            "without": [
                {"family": row["family"], "difference": interval_of(row, "auroc_difference")}
                for row in without.iter_rows(named=True)
            ],
        },
    )


def _row(part: pl.DataFrame, layer: int) -> list[object]:
    """The cells of one coordinate at one position, over its layers."""
    largest = part.row(int(part["times_median"].arg_max() or 0), named=True)
    at_layer = part.filter(pl.col("layer") == layer)
    shares = [
        share_text(at_layer[name][0] if len(at_layer) else None)
        for name in ("difference_share", "noise_share")
    ]
    return [
        part["dimension"][0],
        part["position"][0],
        layer_ranges(part["layer"].to_list()),
        f"{number_text(largest['times_median'], 0)} (layer {largest['layer']})",
        share_text(part["massive_share"].max()),  # type: ignore[arg-type]
        *shares,
    ]


def layer_ranges(layers: list[int]) -> str:
    """`0 to 4, 7`: sorted layers in words."""
    starts = [n for n, layer in enumerate(layers) if not n or layer != layers[n - 1] + 1]
    runs = [layers[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
