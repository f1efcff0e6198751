"""Makes vectors of what training changed, and asks what they have to do with those of prompts.

    python stages/differences.py one_cause

Reads data/adapters/MODEL, the model, the prompts of the set that the first of
`interventions.vectors` is made from (asked of every trained model), that vector, and the
`evaluation_set` with its labels and activations; writes data/differences/MODEL, a safetensors
file a method, set and seed, and, in reports/differences/MODEL, `angles.csv` (how far they agree
with the vector of prompts and with one another), `foretold.csv` (what they foretell of the plain
model) and `repaired.csv` (what can still be read in a model that was trained away from sycophancy).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from sycophancy_steering.activations.token_budget import batch_tokens
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.tuning import TuningSettings
from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.storage.activation_shards import read_origin, stream_activations
from sycophancy_steering.storage.vector_files import read_vectors, write_vectors
from sycophancy_steering.tuning.baselines import TrainedModels
from sycophancy_steering.tuning.contrast_sets import read_contrast
from sycophancy_steering.tuning.difference_tables import predictivity_after_training, cosine_rows, predictivity_rows
from sycophancy_steering.tuning.difference_vectors import (
    run_pairs,
    difference_vectors,
    scores_after_training,
)
from sycophancy_steering.tuning.training_runs import PAIRS, training_runs

READ = 100
"""Answers of each family and kind, at most, that are read in a repaired model."""


@command(__doc__, model="an entry of tuning.models in params.yaml")
def main(model: str) -> None:
    settings, study = read_section(TuningSettings, "tuning"), read_study(model)
    vector, fixed, labels = study.vector, study.example_pool(), study.answers
    states = {
        layer: stream_activations(study.activations, layer, "prompt").select_rows(
            labels["row"].to_numpy()
        )
        for layer in range(read_origin(study.activations).n_layers)
    }
    made, _ = read_vectors(Path(f"vectors/{model}/{vector}.safetensors"))
    prompt_vector = made.astype(np.float64)
    tuned = TrainedModels(model, read_section(ModelSettings, "model", model))
    budget = batch_tokens(tuned.plain(), read_section(ActivationSettings, "activations"))
    sizes = {name: len(read_contrast(name)) for name in settings.contrasts}
    compared = run_pairs([*training_runs(settings, sizes)], settings)
    vectors = difference_vectors(tuned, compared, fixed, len(made), budget)
    with atomic_write(Path(f"data/differences/{model}")) as draft:
        draft.mkdir()
        for (method, of, seed), found in vectors.items():
            about = {"method": method, "on": of, "seed": seed, "model": model}
            path = draft / f"{method}_{of}_seed-{seed}.safetensors"
            write_vectors(path, found.mean(0).astype(np.float32), about)
    lie, foretell = [], []
    for method, of in dict.fromkeys((method, of) for method, of, _ in vectors):
        each = {seed: found for (m, o, seed), found in vectors.items() if (m, o) == (method, of)}
        made = {"method": method, "on": of}
        lie += [made | row for row in cosine_rows(each, prompt_vector, states)]
        foretell += [made | row for row in predictivity_rows(each, states, labels)]
    own = {0: np.stack([prompt_vector] * 2)}
    foretell += [{"method": "prompts", "on": vector} | row for row in predictivity_rows(own, states, labels)]
    away = [both[1] for (_, of, _), both in compared.items() if of == PAIRS]
    select, test = (study.sample(split, READ) for split in ("select", "test"))
    read = scores_after_training(tuned, away, prompt_vector, select, test, study.prompts, budget)
    tables = {"angles": pl.DataFrame(lie), "foretold": pl.DataFrame(foretell)}
    tables["repaired"] = predictivity_after_training(read)
    with atomic_write(Path(f"reports/differences/{model}")) as draft:
        draft.mkdir()
        for name, table in tables.items():
            table.write_csv(draft / f"{name}.csv", float_precision=5)
    print(f"{model}: {len(vectors)} vectors of what training changed, {len(away)} models repaired")


if __name__ == "__main__":
    main()
