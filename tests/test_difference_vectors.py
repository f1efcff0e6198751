"""Vectors of what training changed: their angles, what they foretell, and vectors of few pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import run_stage

from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.interventions.few_shot_vectors import PairDifferences
from sycophancy_steering.storage.activation_shards import read_activations, read_ids
from sycophancy_steering.storage.vector_files import read_vectors
from sycophancy_steering.tuning.difference_tables import predictivity_after_training, cosine_rows, predictivity_rows

LAYERS, WIDTH, N = 2, 8, 240
DRAW = np.random.default_rng(0)
TRUTH = np.eye(WIDTH)[0]


def states() -> tuple[dict[int, ArrayStream], pl.DataFrame]:
    """The label lies along the first coordinate after layer 1, and nowhere after layer 0."""
    labels = np.arange(N) % 2
    noise = DRAW.normal(size=(LAYERS, N, WIDTH))
    noise[1] += 2 * labels[:, None] * TRUTH
    answers = pl.DataFrame(
        {
            "family": ["opinion"] * N,
            "item": [f"item {n // 6}" for n in range(N)],
            "label": labels,
            "split": ["select" if n % 4 < 2 else "test" for n in range(N)],
        }
    )
    return {layer: ArrayStream.from_array(held) for layer, held in enumerate(noise)}, answers


def vectors(direction: np.ndarray, seeds: int = 3) -> dict[int, np.ndarray]:
    """(halves, layers, d_model) by seed: `direction` with a little noise."""
    shape = (2, LAYERS, WIDTH)
    return {seed: direction + 0.05 * DRAW.normal(size=shape) for seed in range(seeds)}


def test_vectors_of_the_same_change_agree_and_others_do_not():
    held, _ = states()
    other = np.tile(TRUTH, (LAYERS, 1))
    for row in cosine_rows(vectors(TRUTH), other, held):
        assert row["cosine_low"] <= row["cosine"] <= row["cosine_high"] + 0.02  # type: ignore[operator]
        assert row["cosine"] > 0.98 > row["random"] > 0.1  # type: ignore[operator]
        assert row["ceiling_seeds"] > 0.95 and row["ceiling_items"] > 0.95  # type: ignore[operator]
        assert row["mahalanobis"] > 0.9  # type: ignore[operator]
    for row in cosine_rows(vectors(np.eye(WIDTH)[1]), other, held):
        assert abs(row["cosine"]) < row["random"]  # type: ignore[operator]


def test_one_draw_has_no_ceiling_of_draws():
    held, _ = states()
    [row, _] = cosine_rows(vectors(TRUTH, 1), np.tile(TRUTH, (LAYERS, 1)), held)
    assert row["ceiling_seeds"] is None


def test_what_a_vector_foretells_is_told_on_test_at_the_layer_chosen_on_select():
    held, answers = states()
    [row] = predictivity_rows(vectors(TRUTH), held, answers)
    assert (row["layer"], row["n"], row["seeds"]) == (1, N // 2, 3)
    assert row["auroc_low"] > 0.8 > row["random_high"] - 0.1  # type: ignore[operator]
    assert row["least"] <= row["auroc"] + 0.02  # type: ignore[operator]
    [nothing] = predictivity_rows(vectors(np.eye(WIDTH)[1]), held, answers)
    assert nothing["auroc_low"] < 0.6  # type: ignore[operator]


def test_a_family_of_one_kind_foretells_nothing():
    held, answers = states()
    alike = answers.with_columns(pl.lit(1).alias("label"))
    assert predictivity_rows(vectors(TRUTH), held, alike) == []


def test_a_repaired_model_has_an_auroc_of_each_draw_and_their_mean():
    n = 8
    one = {"family": ["opinion"] * n, "by": ["same"] * n, "read_layer": [0] * n}
    one |= {"item": [f"{k}" for k in range(n)], "label": [0, 1] * 4, "then": [0] * n}
    right = pl.DataFrame(one | {"score": [0.0, 1.0] * 4, "seed": [0] * n})
    wrong = pl.DataFrame(one | {"score": [1.0, 0.0] * 4, "seed": [1] * n})
    [row] = predictivity_after_training(pl.concat([right, wrong]).with_columns(method=pl.lit("sft"))).rows(
        named=True
    )
    assert (row["auroc"], row["seeds"], row["n_then"]) == (0.5, 2, 0)
    assert row["auroc_then"] is None
    assert row["auroc_low"] < 0.5 < row["auroc_high"]


def test_a_vector_of_few_pairs_is_their_mean_difference(finished_study, monkeypatch):
    monkeypatch.chdir(finished_study)
    folder = Path("data/activations/tiny/pairs")
    ids = [*read_ids(folder, "matching")]
    one, other = (
        read_activations(folder, 1, each).activations.astype(float) for each in ("matching", "not_matching")
    )
    pairs, wanted = PairDifferences("tiny", "pairs"), [7, 2, 5]
    chosen = [ids[n] for n in wanted]
    expected = (one - other)[wanted]
    np.testing.assert_allclose(pairs.mean_difference(1, chosen), expected.mean(0), atol=1e-5)
    turned = expected * np.array([[1.0], [-1.0], [1.0]])
    swapped = pairs.mean_difference(1, chosen, {ids[2]})
    np.testing.assert_allclose(swapped, turned.mean(0), atol=1e-5)


def test_an_in_context_vector_of_all_pairs_is_that_of_the_study(study, monkeypatch):
    path = study / "params.yaml"
    text = path.read_text()
    path.write_text(text.replace("[mean_difference, random]", "[in_context_vector, random]"))
    done = run_stage(study, "vectors", "tiny", "pairs")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(study)
    made, _ = read_vectors(Path("vectors/tiny/pairs/in_context_vector.safetensors"))
    pairs = PairDifferences("tiny", "pairs")
    found = pairs.in_context_vector(1, [*read_ids(Path("data/activations/tiny/pairs"), "matching")])
    cosine = found @ made[1] / np.linalg.norm(found) / np.linalg.norm(made[1])
    assert cosine == pytest.approx(1, abs=1e-5)
