"""Difference vectors of fine-tuning: cosines and predictivity; and vectors from a few pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import run_stage

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.interventions.few_shot_vectors import PairDifferences
from sycophancy_steering.schemas.interventions import ORIGINAL
from sycophancy_steering.schemas.tuning import COSINES, DIFFERENCE_PREDICTIVITY
from sycophancy_steering.storage.activation_shards import read_activations, read_ids
from sycophancy_steering.storage.vector_files import read_vectors
from sycophancy_steering.tuning.difference_tables import (
    cosine_rows,
    predictivity_after_training,
    predictivity_rows,
)

N_LAYERS, D_MODEL, N = 2, 8, 240
RNG = np.random.default_rng(0)
TRUTH = np.eye(D_MODEL)[0]
OTHER = np.eye(D_MODEL)[1]


def plain_activations() -> tuple[dict[int, ArrayStream], pl.DataFrame]:
    """The label lies along the first coordinate after layer 1, and nowhere after layer 0."""
    labels = np.arange(N) % 2
    activations = RNG.normal(size=(N_LAYERS, N, D_MODEL))
    activations[1] += 2 * labels[:, None] * TRUTH
    answers = pl.DataFrame(
        {
            "family": ["opinion"] * N,
            "item": [f"item {n // 6}" for n in range(N)],
            "label": labels,
            "split": ["select" if n % 4 < 2 else "test" for n in range(N)],
        }
    )
    streams = {n: ArrayStream.from_array(of_layer) for n, of_layer in enumerate(activations)}
    return streams, answers


def vectors(direction: np.ndarray, n_seeds: int = 3) -> dict[int, np.ndarray]:
    """(halves, layers, d_model) by seed: `direction` with a little noise."""
    shape = (2, N_LAYERS, D_MODEL)
    return {seed: direction + 0.05 * RNG.normal(size=shape) for seed in range(n_seeds)}


def cosines(direction: np.ndarray, n_seeds: int = 3) -> pl.DataFrame:
    """Of vectors along `direction` with the truth."""
    activations, _ = plain_activations()
    rows = cosine_rows(vectors(direction, n_seeds), np.tile(TRUTH, (N_LAYERS, 1)), activations)
    columns = {name: dtype for name, dtype in COSINES.columns.items() if name in rows[0]}
    return pl.DataFrame(rows, schema=columns)


def predictivity(direction: np.ndarray, answers: pl.DataFrame | None = None) -> pl.DataFrame:
    """Of vectors along `direction`."""
    activations, of_study = plain_activations()
    rows = predictivity_rows(
        vectors(direction), activations, of_study if answers is None else answers
    )
    return pl.DataFrame(rows, schema=DIFFERENCE_PREDICTIVITY.columns)


def test_vectors_of_the_same_change_agree_and_others_do_not():
    for row in cosines(TRUTH).iter_rows(named=True):
        assert row["cosine_lowest"] <= row["cosine"] <= row["cosine_highest"] + 0.02
        assert row["cosine"] > 0.98 > row["random_cosine"] > 0.1
        assert row["ceiling_seeds"] > 0.95
        assert row["ceiling_items"] > 0.95
        assert row["mahalanobis_cosine"] > 0.9
    for row in cosines(OTHER).iter_rows(named=True):
        assert abs(row["cosine"]) < row["random_cosine"]


def test_one_seed_has_no_ceiling_of_seeds():
    assert cosines(TRUTH, n_seeds=1)["ceiling_seeds"].to_list() == [None, None]


def test_the_auroc_is_that_on_test_at_the_layer_selected_on_select():
    row = predictivity(TRUTH).row(0, named=True)
    assert (row["layer"], row["n"], row["n_seeds"]) == (1, N // 2, 3)
    assert row["auroc_low"] > 0.8 > row["random_high"] - 0.1
    assert row["auroc_lowest"] <= row["auroc"] + 0.02
    assert predictivity(OTHER)["auroc_low"][0] < 0.6


def test_a_family_with_one_class_has_no_auroc():
    _, answers = plain_activations()
    assert predictivity(TRUTH, answers.with_columns(pl.lit(1).alias("label"))).is_empty()


def test_models_of_several_seeds_have_their_mean_auroc_and_the_widest_interval():
    n = 8
    columns = {"family": ["opinion"] * n, "readout_vector": [ORIGINAL] * n}
    columns |= {"readout_layer": [0] * n, "item": [f"{k}" for k in range(n)]}
    columns |= {"label": [0, 1] * 4, "label_after": [0] * n}
    right = pl.DataFrame(columns | {"score": [0.0, 1.0] * 4, "seed": [0] * n})
    wrong = pl.DataFrame(columns | {"score": [1.0, 0.0] * 4, "seed": [1] * n})
    scores = pl.concat([right, wrong]).with_columns(method=pl.lit("sft"))
    row = predictivity_after_training(scores).row(0, named=True)
    assert (row["auroc"], row["n_seeds"], row["n_sycophantic_after"]) == (0.5, 2, 0)
    assert row["auroc_after"] is None
    assert row["auroc_low"] < 0.5 < row["auroc_high"]


def test_a_vector_of_a_few_pairs_is_their_mean_difference(finished_study, monkeypatch):
    monkeypatch.chdir(finished_study)
    folder = Path("data/activations/tiny/pairs")
    ids = [*read_ids(folder, "matching")]
    matching, not_matching = (
        read_activations(folder, 1, position).activations.astype(float)
        for position in ("matching", "not_matching")
    )
    pairs, rows = PairDifferences("tiny", "pairs"), [7, 2, 5]
    selected = [ids[row] for row in rows]
    expected = (matching - not_matching)[rows]
    mean_difference = pairs.mean_difference(1, selected)
    np.testing.assert_allclose(mean_difference, expected.mean(0), atol=1e-5)
    expected[1] *= -1
    mislabelled = pairs.mean_difference(1, selected, {ids[2]})
    np.testing.assert_allclose(mislabelled, expected.mean(0), atol=1e-5)


def test_an_in_context_vector_of_all_pairs_is_that_of_the_study(study, monkeypatch):
    path = study / "params.yaml"
    text = path.read_text()
    path.write_text(text.replace("[mean_difference, random]", "[in_context_vector, random]"))
    result = run_stage(study, "vectors", "tiny")
    assert result.returncode == 0, result.stderr
    monkeypatch.chdir(study)
    of_study, _ = read_vectors(Path("vectors/extracted/tiny/pairs/in_context_vector.safetensors"))
    ids = [*read_ids(Path("data/activations/tiny/pairs"), "matching")]
    vector = PairDifferences("tiny", "pairs").in_context_vector(1, ids)
    cosine = vector @ of_study[1] / np.linalg.norm(vector) / np.linalg.norm(of_study[1])
    assert cosine == pytest.approx(1, abs=1e-5)
