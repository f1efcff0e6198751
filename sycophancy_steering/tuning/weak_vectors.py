"""What vectors of poorly labelled pairs foretell: from weak labels to strong ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.interventions.conditions import SteeringVector
from sycophancy_steering.interventions.steering_tables import estimate_columns
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.storage.activation_shards import stream_activations
from sycophancy_steering.tuning.training_runs import TrainingRun


def weak_vector_predictivity(
    every: Sequence[TrainingRun],
    vector_of: Callable[[TrainingRun], SteeringVector],
    shown: Callable[[TrainingRun], tuple[list[str], set[str]]],
    activations: Path,
    test: pl.DataFrame,
) -> pl.DataFrame:
    """A row a run (`examples`, `seed`, `labels`) and family: the AUROC, on `test` (with the true
    labels, and the `row` of each), of projecting states after the prompt on the vector of its
    examples; its `cosine` with that of the same examples truly labelled; and the share of them
    whose answers were taken for one another (`wrong`). `shown` says both, by their ids."""
    rows = []
    for run in every:
        made = vector_of(run)
        straight = vector_of(TrainingRun(run.method, run.towards, run.n_examples, run.seed))
        stream = stream_activations(activations, made.layer, "prompt").select_rows(
            test["row"].to_numpy()
        )
        scores = stream.dot(made.vector / np.linalg.norm(made.vector))
        for family in test["family"].unique(maintain_order=True):
            mine = (test["family"] == family).to_numpy()
            labels, items = (test[key].to_numpy()[mine] for key in ("label", "item"))
            area = clustered_auroc(scores[mine], labels, items.astype(str))
            about = {"examples": run.n_examples, "seed": run.seed, "labels": run.label_source}
            about |= {"family": family, "layer": made.layer, "n": len(labels)}
            about |= {"items": len(np.unique(items.astype(str)))}
            ids, swapped = shown(run)
            about |= {"wrong": len(swapped) / len(ids)}
            close = float(cosine(made.vector, straight.vector))
            rows.append(about | estimate_columns({"auroc": area}) | {"cosine": close})
    return pl.DataFrame(rows, infer_schema_length=None)
