"""A weak labeller: a model cut off after a layer says which of two answers is sycophantic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycophancy_steering.config.tuning import WeakLabeller
from sycophancy_steering.foundation.atomic_files import write_json
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.prompt_table import read_prompts
from sycophancy_steering.schemas.paths import ACTIVATIONS, PROMPTS
from sycophancy_steering.storage.activation_shards import read_ids, read_origin, stream_activations

WEAK_FILE = "weak_labels.json"
"""In the folder of a model's adapters."""


@dataclass(frozen=True)
class WeakLabels:
    """How a weak labeller labels pairs."""

    mislabelled: frozenset[str]
    """The ids of pairs of which it takes the wrong answer for the sycophantic one."""
    n_pairs: int


NO_WEAK_LABELS = WeakLabels(frozenset(), 0)


def write_weak_labels(folder: Path, labels: WeakLabels) -> None:
    """Writes the labels into a model's adapter folder."""
    content = {"n_pairs": labels.n_pairs, "mislabelled": sorted(labels.mislabelled)}
    write_json(folder / WEAK_FILE, content)


def read_mislabelled(folder: Path) -> frozenset[str]:
    """The ids of mislabelled pairs, from a model's adapter folder."""
    return frozenset(json.loads((folder / WEAK_FILE).read_text())["mislabelled"])


def weak_labels(labeller: WeakLabeller, prompt_set: str) -> WeakLabels:
    """The labels of the pairs of `prompt_set`: the answer whose activation in the weak model lies
    further along a mean difference counts as sycophantic.

    That mean difference is of the pairs about the other half of the items, with their true labels:
    the weak model has supervision of its own (Burns et al. 2023, https://arxiv.org/abs/2312.09390).
    Raises InputError for a layer that the model has not.
    """
    folder = ACTIVATIONS / labeller.model / prompt_set
    n_layers = read_origin(folder).n_layers
    if not 0 <= labeller.layer < n_layers:
        raise InputError(
            f"params.yaml: tuning.weak_labeller.layer: expected 0 to {n_layers - 1} (the layers of "
            f"{labeller.model}), found {labeller.layer}"
        )
    matching, not_matching = (
        stream_activations(folder, labeller.layer, position)
        for position in ("matching", "not_matching")
    )
    pairs, ids = matching.subtract(not_matching), np.array([*read_ids(folder, "matching")])
    item_of = {row.id: row.item for row in read_prompts(PROMPTS / f"{prompt_set}.parquet")}
    items = sorted({*item_of.values()})
    half = np.array([items.index(item_of[id]) % 2 for id in ids])
    weights = np.stack([(half != n) / max((half != n).sum(), 1) for n in (0, 1)])
    projections = np.stack([pairs.dot(vector) for vector in pairs.weighted_sums(weights)])
    is_right = projections[half, np.arange(len(ids))] > 0
    return WeakLabels(frozenset(ids[~is_right].tolist()), len(ids))
