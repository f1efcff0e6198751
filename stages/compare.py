"""Compares two vector files layer by layer, or two folders of them.

    python stages/compare.py \\
        vectors/extracted/one_cause/opinion_pairs/mean_difference.safetensors \\
        vectors/extracted/one_cause/misconception_pairs/mean_difference.safetensors

Prints their cosine at each layer. Where the activations that both were made from are here, also its
interval, the Mahalanobis cosine, the split-half reliability of each vector, and the cosine
corrected for it. Given two folders: the principal angles between the spans of their vectors. Writes
nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sycophancy_steering.analysis.vector_pairs import (
    layer_agreements,
    principal_angles_by_layer,
    read_vector_file,
)
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.report.vector_pairs import agreement_table, principal_angle_table


@command(__doc__, one="a vector file, or a folder of them", two="another")
def main(one: str, two: str) -> None:
    paths = Path(one), Path(two)
    if all(path.is_dir() for path in paths):
        print(principal_angle_table(principal_angles_by_layer(*paths)))
        return
    first, second = (read_vector_file(path) for path in paths)
    if first.vectors.shape != second.vectors.shape:
        raise InputError(
            f"{two}: layers and width {second.vectors.shape}, but {one} has "
            f"{first.vectors.shape}; expected the same shape"
        )
    print(agreement_table(layer_agreements(first, second)))
    width = first.vectors.shape[1]
    print(f"\nCosines of random directions: 95% within {1.96 / np.sqrt(width):.2f} of 0.")
    for file in (first, second):
        if file.source is None:
            print(
                f"{file.path}: the activations it was made from are not here, so it has neither "
                "reliability nor interval."
            )


if __name__ == "__main__":
    main()
