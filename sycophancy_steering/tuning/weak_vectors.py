"""Predictivity of vectors from mislabelled pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sycophancy_steering.schemas.tuning import BASELINE_WEAK_VECTORS
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.estimates import row_of
from sycophancy_steering.statistics.vector_agreement import cosine
from sycophancy_steering.storage.activation_shards import stream_activations
from sycophancy_steering.tuning.baselines import BaselineComparison
from sycophancy_steering.tuning.training_runs import TrainingRun


def weak_vector_predictivity(
    comparison: BaselineComparison, runs: Sequence[TrainingRun]
) -> pl.DataFrame:
    """A row a run and family: the table `BASELINE_WEAK_VECTORS`, of the vectors from the examples
    of the runs; the AUROC is that of the true labels on `test`, after the prompt."""
    study = comparison.study
    test = study.answers.filter(pl.col("split") == "test")
    rows = []
    for run in runs:
        steering = comparison.vector_of(run)
        true_labels = TrainingRun(run.method, run.towards, run.n_examples, run.seed)
        true_vector = comparison.vector_of(true_labels).vector
        stream = stream_activations(study.activations, steering.layer, "prompt")
        activations = stream.select_rows(test["row"].to_numpy())
        scores = activations.dot(steering.vector / np.linalg.norm(steering.vector))
        ids, swapped = comparison.examples_of(run)
        for family in test["family"].unique(maintain_order=True):
            of_family = (test["family"] == family).to_numpy()
            labels, items = (test[name].to_numpy()[of_family] for name in ("label", "item"))
            items = items.astype(str)
            row: dict[str, object] = {"n_examples": run.n_examples, "seed": run.seed}
            row |= {"label_source": run.label_source, "family": family, "layer": steering.layer}
            row |= {"n": len(labels), "n_items": len(np.unique(items))}
            row |= {"mislabelled_share": len(swapped) / len(ids)}
            row |= row_of({"auroc": clustered_auroc(scores[of_family], labels, items)})
            rows.append(row | {"cosine": float(cosine(steering.vector, true_vector))})
    return pl.DataFrame(rows, schema=BASELINE_WEAK_VECTORS.columns)
