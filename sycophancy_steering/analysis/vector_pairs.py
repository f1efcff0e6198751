"""Two vector files, or folders of them, side by side: tables of how far they agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sycophancy_steering.analysis.resampling import drawn, halved, made_from
from sycophancy_steering.config.reading import accepted
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.report.summary import interval, markdown_table, shown
from sycophancy_steering.statistics.vector_agreement import (
    corrected,
    cosine,
    cosine_interval,
    principal_angles,
    reliability,
)
from sycophancy_steering.storage.vector_files import read_vectors, vectors_in
from sycophancy_steering.vectors.labelled_activations import Material, read_material
from sycophancy_steering.vectors.variants import Recipe

SPLITS, DRAWS = 10, 100


@dataclass(frozen=True)
class Made:
    """Vectors, and what they can be made from again, where that is here."""

    path: Path
    vectors: Floats
    """(layers, d_model)"""
    again: tuple[Material, Recipe] | None


def read(path: Path) -> Made:
    """A file's vectors, and what they can be made from again."""
    vectors, about = read_vectors(path)
    again = None
    if {"model", "prompt_set", "variant"} <= set(about):
        name = f"{about['model']}/{about['prompt_set']}"
        places = Path(f"data/activations/{name}"), Path(f"data/labels/{name}.parquet")
        prompts = Path(f"data/prompts/{about['prompt_set']}.parquet")
        if all(place.exists() for place in (*places, prompts)):
            recipe = accepted(Recipe, about["variant"], str(path))
            again = read_material(*places, prompts), recipe
    return Made(path, vectors.astype(np.float64), again)


def agreement(one: Made, two: Made) -> str:
    """A row a layer: cosines, reliability of both, and the cosine corrected for it."""
    layers = range(len(one.vectors))
    plain, header = cosine(one.vectors, two.vectors), ["layer", "cosine"]
    if not (one.again and two.again):
        return markdown_table(header, [[str(n), shown(plain[n])] for n in layers])
    metrics = [one.again[0].states(layer, "prompt").covariance for layer in layers]
    halves = [
        np.array([[made_from(*made, part) for part in pair] for pair in halved(made[0], SPLITS)])
        for made in (one.again, two.again)
    ]
    sure = [reliability(each) for each in halves]
    ones, twos = (
        np.array(
            [
                made_from(*made, items)
                for items in tqdm(drawn(made[0], DRAWS), total=DRAWS, unit="draw", disable=None)
            ]
        )
        for made in (one.again, two.again)
    )
    low, high = cosine_interval(one.vectors, two.vectors, ones, twos)
    ceiling = corrected(plain, *sure)
    header += ["Mahalanobis cosine", "reliability, one", "two", "cosine over what noise allows"]
    return markdown_table(
        header,
        [
            [
                str(n),
                interval(plain[n], low[n], high[n]),
                in_metric(one.vectors[n], two.vectors[n], ones[:, n], twos[:, n], metrics[n]),
                shown(sure[0][n]),
                shown(sure[1][n]),
                shown(ceiling[n]),
            ]
            for n in layers
        ],
    )


def in_metric(one: Floats, two: Floats, ones: Floats, twos: Floats, metric: Floats) -> str:
    """The Mahalanobis cosine at one layer with its interval."""
    low, high = cosine_interval(one, two, ones, twos, metric)
    return interval(float(cosine(one, two, metric)), float(low), float(high))


def spans(one: Path, two: Path) -> str:
    """A row a layer: principal angles between what the vectors of two folders span."""
    first, second = span(one), span(two)
    if first.shape[1:] != second.shape[1:]:
        raise InputError(f"{two}: vectors of another shape than those of {one}")
    rows = []
    for layer in range(first.shape[1]):
        angles = principal_angles(first[:, layer], second[:, layer])
        rows.append([str(layer), " ".join(f"{angle:.0f}" for angle in angles)])
    return markdown_table(["layer", "principal angles in degrees, least first"], rows)


def span(folder: Path) -> Floats:
    """(vectors, layers, d_model) of a folder, but for the nulls: those have one seed everywhere."""
    found = [read_vectors(path) for path in vectors_in(folder)]
    kept = [vectors for vectors, about in found if not about.get("null")]
    if not kept:
        raise InputError(f"{folder}: no vectors but nulls")
    if len({vectors.shape for vectors in kept}) > 1:
        raise InputError(f"{folder}: vectors of several shapes; expected those of one model")
    return np.stack(kept).astype(np.float64)
