"""A weaker grader: which of two answers is the sycophantic one, as a cut-off model has it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycophancy_steering.config.tuning import WeakLabeller
from sycophancy_steering.foundation.atomic_files import write_json
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.prompt_table import read_prompts
from sycophancy_steering.storage.activation_shards import read_ids, read_origin, stream_activations

WEAK_FILE = "weak.json"


@dataclass(frozen=True)
class WeakLabels:
    """What a weak reader gets wrong."""

    mislabelled: frozenset[str]
    """Questions whose answers it takes for one another."""
    n_pairs: int


def write_weak_labels(folder: Path, wrong: WeakLabels) -> None:
    """Beside the adapters, for whoever makes something else of the same labels."""
    write_json(folder / WEAK_FILE, {"asked": wrong.n_pairs, "wrong": sorted(wrong.mislabelled)})


def read_mislabelled(folder: Path) -> frozenset[str]:
    """What `write_wrong` left."""
    return frozenset(json.loads((folder / WEAK_FILE).read_text())["wrong"])


def weak_labels(weak: WeakLabeller, prompt_set: str) -> WeakLabels:
    """The pairs of `prompt_set` of which the sycophantic answer does not lie further along a mean
    difference, in the weak model after the weak layer.

    That is of the pairs about the other half of the items, with their true labels: the weak model
    had teachers of its own (Burns et al. 2023, https://arxiv.org/abs/2312.09390).
    """
    folder = Path(f"data/activations/{weak.model}/{prompt_set}")
    layers = read_origin(folder).n_layers
    if not 0 <= weak.layer < layers:
        raise InputError(
            f"params.yaml: tuning.weak.layer: expected 0 to {layers - 1} (the layers of "
            f"{weak.model}), found {weak.layer}"
        )
    one, other = (stream_activations(folder, weak.layer, e) for e in ("matching", "not_matching"))
    pairs, ids = one.subtract(other), np.array([*read_ids(folder, "matching")])
    item = {row.id: row.item for row in read_prompts(Path(f"data/prompts/{prompt_set}.parquet"))}
    items = sorted({*item.values()})
    half = np.array([items.index(item[each]) % 2 for each in ids])
    taught = pairs.weighted_sums(
        np.stack([(half != n) / max((half != n).sum(), 1) for n in (0, 1)])
    )
    along = np.stack([pairs.dot(each) for each in taught])
    right = along[half, np.arange(len(ids))] > 0
    return WeakLabels(frozenset(ids[~right].tolist()), len(ids))
