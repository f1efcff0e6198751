"""Says how far two vector files agree, layer by layer, and how much of the rest is noise.

    python stages/compare.py vectors/one_cause/opinion_pairs/mean_difference.safetensors \\
        vectors/one_cause/misconception_pairs/mean_difference.safetensors

Given two folders of vectors instead: the principal angles between what they span. Where the
activations that a file was made from are here (data/activations/MODEL/SET, as the file says), its
vectors are made again from halves and from resamples of the items, for reliability and intervals.
Prints a table; writes nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sycophancy_steering.analysis.vector_pairs import (
    agreement_by_layer,
    principal_angle_table,
    read_vector_file,
)
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError


@command(__doc__, one="a vector file, or a folder of them", two="another")
def main(one: str, two: str) -> None:
    paths = Path(one), Path(two)
    if all(path.is_dir() for path in paths):
        print(principal_angle_table(*paths))
        return
    first, second = (read_vector_file(path) for path in paths)
    if first.vectors.shape != second.vectors.shape:
        raise InputError(
            f"{two}: layers and width {second.vectors.shape}, but {one} has "
            f"{first.vectors.shape}; expected the same shape"
        )
    print(agreement_by_layer(first, second))
    width = first.vectors.shape[1]
    print(f"\nDirections drawn at random: 95% within {1.96 / np.sqrt(width):.2f} of 0.")
    for made in (first, second):
        if made.remake is None:
            print(
                f"{made.path}: the activations it was made from are not here, so it has neither "
                "reliability nor interval."
            )


if __name__ == "__main__":
    main()
