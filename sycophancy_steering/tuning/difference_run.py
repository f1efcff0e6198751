"""Difference vectors of a model's fine-tuning, and their comparison with the prompts' vector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.arrays import Floats
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.interventions.run import LazyModel
from sycophancy_steering.interventions.study import Study
from sycophancy_steering.schemas.tuning import AFTER_TRAINING, COSINES, DIFFERENCE_PREDICTIVITY
from sycophancy_steering.storage.activation_shards import stream_activations
from sycophancy_steering.storage.vector_files import read_vectors, write_vectors
from sycophancy_steering.tuning.baseline_run import all_runs
from sycophancy_steering.tuning.difference_tables import (
    cosine_rows,
    predictivity_after_training,
    predictivity_rows,
)
from sycophancy_steering.tuning.difference_vectors import (
    Key,
    difference_vectors,
    run_pairs,
    scores_after_training,
)
from sycophancy_steering.tuning.trained_models import TrainedModels
from sycophancy_steering.tuning.training_runs import PAIRS

DIFFERENCES = Path("data/differences")
PROMPTS_VECTOR = "prompts"
"""The `method` of the study's vector in `DIFFERENCE_PREDICTIVITY`."""


def run_differences(study: Study, settings: TuningSettings, model: LazyModel) -> tuple[int, int]:
    """Writes data/differences/MODEL and reports/differences/MODEL; returns the numbers of vectors
    and of models trained away from sycophancy."""
    models = TrainedModels(model.name, model.settings, model.activations)
    prompt_vector = read_vectors(study.vector_file)[0].astype(np.float64)
    pairs = run_pairs(all_runs(settings), settings)
    n_layers = len(prompt_vector)
    vectors = difference_vectors(models, pairs, study.example_pool(), n_layers)
    _write_vectors(model.name, vectors)
    _write_comparison(study, prompt_vector, vectors)
    away = [away for (_, training_set, _), (_, away) in pairs.items() if training_set == PAIRS]
    scores = scores_after_training(models, away, prompt_vector, study, settings.n_readout)
    AFTER_TRAINING.write(predictivity_after_training(scores), model=model.name)
    return len(vectors), len(away)


def _write_vectors(model: str, vectors: Mapping[Key, Floats]) -> None:
    """A safetensors file for each method, training set and seed: the mean of the halves."""
    with atomic_write(DIFFERENCES / model) as draft:
        draft.mkdir()
        for (method, training_set, seed), halves in vectors.items():
            path = draft / f"{method}_{training_set}_seed-{seed}.safetensors"
            provenance = {"method": method, "training_set": training_set}
            provenance |= {"seed": seed, "model": model}
            write_vectors(path, halves.mean(0).astype(np.float32), provenance)


def _write_comparison(study: Study, prompt_vector: Floats, vectors: Mapping[Key, Floats]) -> None:
    """The tables `COSINES` and `DIFFERENCE_PREDICTIVITY`."""
    rows = study.answers["row"].to_numpy()
    activations = {
        layer: stream_activations(study.activations, layer, "prompt").select_rows(rows)
        for layer in range(len(prompt_vector))
    }
    cosines: list[dict[str, object]] = []
    aurocs: list[dict[str, object]] = []
    for kind in dict.fromkeys((method, training_set) for method, training_set, _ in vectors):
        by_seed = {key[2]: halves for key, halves in vectors.items() if key[:2] == kind}
        columns: dict[str, object] = {"method": kind[0], "training_set": kind[1]}
        cosines += [columns | row for row in cosine_rows(by_seed, prompt_vector, activations)]
        aurocs += [columns | row for row in predictivity_rows(by_seed, activations, study.answers)]
    columns = {"method": PROMPTS_VECTOR, "training_set": study.vector}
    of_prompts = {0: np.stack([prompt_vector] * 2)}
    aurocs += [columns | row for row in predictivity_rows(of_prompts, activations, study.answers)]
    COSINES.write(pl.DataFrame(cosines, schema=COSINES.columns), model=study.model)
    table = pl.DataFrame(aurocs, schema=DIFFERENCE_PREDICTIVITY.columns)
    DIFFERENCE_PREDICTIVITY.write(table, model=study.model)
