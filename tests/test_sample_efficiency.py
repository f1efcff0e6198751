"""How many pairs it takes: what is drawn, and what is made of the draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from synthetic_answers import evaluation_cell

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.sample_efficiency import (
    SAMPLES,
    learning_curves,
    sample_contrast,
    sampled_aurocs,
)
from sycophancy_steering.config.predictivity import SampleEfficiencySettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.array_stream import ArrayStream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.activation_shards import Origin, write_shard
from sycophancy_steering.vectors.contrast import MethodNotApplicable
from sycophancy_steering.vectors.labelled_activations import LabelledActivations

N, WIDTH = 80, 16


@pytest.fixture
def given(tmp_path: Path) -> tuple[LabelledActivations, dict[str, Cell], ArrayStream]:
    """Pairs whose questions differ far more than their answers, and answers to be told apart."""
    draw = np.random.default_rng(0)
    questions = draw.normal(size=(N, WIDTH)) * 3
    cause = np.eye(WIDTH)[0]
    states = np.stack([questions, questions + cause, questions - cause])
    states += draw.normal(size=states.shape) * 0.3
    origin = Origin("m", "r", "float32", WIDTH, 1, "t")
    ids = [f"q{k}" for k in range(N)]
    positions = ("prompt", "matching", "not_matching")
    shard = states[:, None].astype(np.float32)
    held = {position: (ids, block) for position, block in zip(positions, shard, strict=True)}
    write_shard(tmp_path / "shard-00000.parquet", held, origin)
    letters = np.array(["A", "B"] * (N // 2))
    items = np.array([f"item{k // 2}" for k in range(N)])
    material = LabelledActivations(
        tmp_path,
        origin,
        labels=np.full(N, np.nan),
        items=items,
        matching=letters,
        not_matching=letters[::-1],
        answered=letters,
        families=np.full(N, "f"),
        sources=np.full(N, "s"),
    )
    labels = draw.integers(0, 2, 200)
    answers = draw.normal(size=(200, WIDTH))
    answers[:, 0] += 1.5 * labels
    cell = evaluation_cell("f", "all", np.arange(200), labels, np.arange(200))
    return material, {"f": cell}, ArrayStream.from_array(answers)


def test_chats_without_options_have_no_pairs_to_sample(given):
    material, cells, answers = given
    chats = replace(material, has_options=False)
    with pytest.raises(MethodNotApplicable, match="no answers to force"):
        sample_contrast(chats, Variant("pca", "answer", 8, 3), 0, False)
    settings = SampleEfficiencySettings(n_pairs=[4], n_resamples=2)
    found = sampled_aurocs(chats, ["mean_difference"], 0, settings, cells, answers)
    assert found.is_empty() and found.columns == [*SAMPLES]
    assert learning_curves(found).is_empty()


def test_pairs_share_their_questions_and_others_share_none(given):
    material, _, _ = given
    pairs = sample_contrast(material, Variant("pca", "answer", 8, 3), 0, True)
    assert pairs.paired
    assert len(pairs.sycophantic) == len(pairs.other) == 8
    gaps = np.linalg.norm(pairs.differences.to_array(), axis=1)
    assert gaps.max() < 5
    apart = sample_contrast(material, Variant("pca", "answer", 8, 3), 0, False)
    assert not apart.paired
    assert len(apart.sycophantic) == len(apart.other) == 8
    distances = (
        apart.sycophantic.activations.to_array()[:, None] - apart.other.activations.to_array()
    )
    assert np.linalg.norm(distances, axis=-1).min() > 5
    with pytest.raises(MethodNotApplicable, match="80 questions; expected 82"):
        sample_contrast(material, Variant("pca", "answer", 41, 3), 0, False)


def test_more_pairs_are_better_and_pairing_saves_where_questions_differ_most(given):
    settings = SampleEfficiencySettings(n_pairs=[4, 16, 64], n_resamples=20)
    found = learning_curves(
        sampled_aurocs(given[0], ["mean_difference", "ccs"], 0, settings, *given[1:])
    )
    rows = {(r["method"], r["paired"], r["n_pairs"]): r for r in found.iter_rows(named=True)}
    assert ("ccs", False, 4) not in rows  # needs pairs
    assert ("mean_difference", False, 64) not in rows  # 128 questions are not there
    assert ("mean_difference", True, 64) in rows
    few, some = rows["mean_difference", True, 4], rows["mean_difference", True, 16]
    assert few["auroc"] < some["auroc"] < rows["mean_difference", True, 64]["auroc"]
    assert some["auroc_sd"] < rows["mean_difference", False, 16]["auroc_sd"] / 2
    assert some["auroc"] > rows["mean_difference", False, 16]["auroc"]


def test_a_curve_is_the_mean_and_the_middle_of_its_draws():
    areas = np.random.default_rng(1).random(40)
    drawn = pl.DataFrame(
        {
            "method": "m",
            "paired": True,
            "n_pairs": 4,
            "resample": range(40),
            "family": "f",
            "auroc": areas,
        }
    )
    row = learning_curves(drawn).row(0, named=True)
    assert row["auroc"] == pytest.approx(areas.mean())
    assert [row["auroc_low"], row["auroc_high"]] == pytest.approx(
        np.quantile(areas, [0.025, 0.975])
    )
    assert row["auroc_sd"] == pytest.approx(areas.std(ddof=1))


@pytest.mark.parametrize(
    ("n_pairs", "n_resamples", "key"), [("[1, 4]", 3, "n_pairs"), ("[4]", 1, "n_resamples")]
)
def test_settings_that_cannot_be_are_refused(tmp_path, n_pairs, n_resamples, key):
    params = tmp_path / "params.yaml"
    params.write_text(f"sample_efficiency: {{n_pairs: {n_pairs}, n_resamples: {n_resamples}}}")
    with pytest.raises(InputError, match=f"sample_efficiency.{key}.*found 1"):
        read_section(SampleEfficiencySettings, "sample_efficiency", path=params)
