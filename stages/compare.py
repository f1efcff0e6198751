"""Compares two vectors layer by layer, in files or folders of any format, or two folders of them.

    python stages/compare.py \\
        vectors/extracted/one_cause/opinion_pairs/mean_difference.safetensors \\
        vectors/extracted/one_cause/misconception_pairs/mean_difference.safetensors

Prints their cosine at each layer that both have, which layers only one has, and where they point
opposite ways. Beside it: what random directions give, and what unrelated vectors of the same model
give, of the study (shuffled pairs, letters) or named by `--unrelated`. Where the activations that
both were made from are here, also the interval, the Mahalanobis cosine, the split-half reliability
of each vector, and the cosine corrected for it. Given two folders of vectors of all layers: the
principal angles between their spans. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sycophancy_steering.analysis.vector_pairs import (
    VectorFile,
    holds_vectors_of_all_layers,
    layer_agreements,
    principal_angles_by_layer,
    read_vector_file,
)
from sycophancy_steering.analysis.yardsticks import (
    isotropic_half_width,
    models_named,
    null_vectors,
    yardstick,
)
from sycophancy_steering.config.foreign_vectors import Numbering
from sycophancy_steering.config.reading import validated
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.report.vector_pairs import (
    agreement_table,
    gaps,
    opposite_signs,
    principal_angle_table,
    yardstick_line,
)


@command(
    __doc__,
    one="a vector: a file, or a folder of a file a layer; or a folder of vectors",
    two="another",
    numbering="how files of other tools count layers, where they do not say: hidden_states "
    "(0 = embeddings), blocks_from_0 or blocks_from_1",
    unrelated="vectors of unrelated behaviours in the same model, separated by commas",
)
def main(one: str, two: str, *, numbering: str = "", unrelated: str = "") -> None:
    paths = Path(one), Path(two)
    if all(path.is_dir() for path in paths) and any(map(holds_vectors_of_all_layers, paths)):
        print(principal_angle_table(principal_angles_by_layer(*paths)))
        return
    counted = validated(Numbering, numbering, Path("compare"), "--numbering") if numbering else None
    others = [Path(name) for name in unrelated.split(",") if name]
    first, second, *third = (read_vector_file(path, counted) for path in (*paths, *others))
    agreements = layer_agreements(first, second)
    half_width = isotropic_half_width(first.d_model)
    print(agreement_table(agreements))
    print()
    for line in (*gaps(first, second), *opposite_signs(agreements, half_width)):
        print(line)
    print(f"Cosines of random directions: 95% within {half_width:.2f} of 0.")
    for line in yardstick_lines((first, second), third):
        print(line)
    for file in (first, second):
        if file.source is None:
            print(
                f"{file.path}: the activations it was made from are not here, so it has neither "
                "reliability nor interval."
            )


def yardstick_lines(
    compared: Sequence[VectorFile], unrelated: Sequence[VectorFile]
) -> Iterator[str]:
    """What unrelated vectors give, of those named and of the study; or that there are none."""
    layers = [file.layers for file in compared]
    if unrelated:
        others = [file.layers for file in unrelated]
        yield yardstick_line(yardstick("vectors called unrelated", layers, others))
    nulls = {
        model: [*null_vectors(model, compared[0].d_model)]
        for model in models_named([file.model for file in compared])
    }
    for model, vectors in nulls.items():
        if vectors:
            name = f"vectors of shuffled pairs and letters in {model}"
            yield yardstick_line(yardstick(name, layers, vectors))
    if not unrelated and not any(nulls.values()):
        yield (
            "No other yardstick: no null vectors of their model are here. Vectors of one model can "
            "be far more alike than random directions: name others by --unrelated."
        )


if __name__ == "__main__":
    main()
