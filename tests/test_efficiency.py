"""How many pairs it takes: what is drawn, and what is made of the draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.sample_efficiency import Efficiency, contrast_of, curves, learned
from sycophancy_steering.foundation.array_stream import Stream
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.storage.activation_shards import Origin, write_shard
from sycophancy_steering.vectors.contrast import Inapplicable
from sycophancy_steering.vectors.labelled_activations import Material

N, WIDTH = 80, 16


@pytest.fixture
def given(tmp_path: Path) -> tuple[Material, dict[str, Cell], Stream]:
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
    material = Material(
        tmp_path,
        origin,
        labels=np.full(N, np.nan),
        items=items,
        matching=letters,
        not_matching=letters[::-1],
        said=letters,
        families=np.full(N, "f"),
        sources=np.full(N, "s"),
    )
    labels = draw.integers(0, 2, 200)
    answers = draw.normal(size=(200, WIDTH))
    answers[:, 0] += 1.5 * labels
    cell = Cell("f", "all", "test", np.arange(200), labels, np.arange(200).astype(str), 0.0, {})
    return material, {"f": cell}, Stream.of(answers)


def test_pairs_share_their_questions_and_others_share_none(given):
    material, _, _ = given
    pairs = contrast_of(material, "pca", 0, 8, True, 3)
    assert pairs.paired
    assert len(pairs.sycophantic) == len(pairs.other) == 8
    gaps = np.linalg.norm(pairs.differences.all(), axis=1)
    assert gaps.max() < 5
    apart = contrast_of(material, "pca", 0, 8, False, 3)
    assert not apart.paired
    assert len(apart.sycophantic) == len(apart.other) == 8
    distances = apart.sycophantic.states.all()[:, None] - apart.other.states.all()
    assert np.linalg.norm(distances, axis=-1).min() > 5
    with pytest.raises(Inapplicable, match="80 questions; expected 82"):
        contrast_of(material, "pca", 0, 41, False, 3)


def test_more_pairs_are_better_and_pairing_saves_where_questions_differ_most(given):
    settings = Efficiency(pairs=[4, 16, 64], draws=20)
    found = curves(learned(given[0], ["mean_difference", "ccs"], 0, settings, *given[1:]))
    rows = {(r["method"], r["paired"], r["pairs"]): r for r in found.iter_rows(named=True)}
    assert ("ccs", False, 4) not in rows  # needs pairs
    assert ("mean_difference", False, 64) not in rows  # 128 questions are not there
    assert ("mean_difference", True, 64) in rows
    few, some = rows["mean_difference", True, 4], rows["mean_difference", True, 16]
    assert few["auroc"] < some["auroc"] < rows["mean_difference", True, 64]["auroc"]
    assert some["spread"] < rows["mean_difference", False, 16]["spread"] / 2
    assert some["auroc"] > rows["mean_difference", False, 16]["auroc"]


def test_a_curve_is_the_mean_and_the_middle_of_its_draws():
    areas = np.random.default_rng(1).random(40)
    drawn = pl.DataFrame(
        {
            "method": "m",
            "paired": True,
            "pairs": 4,
            "draw": range(40),
            "family": "f",
            "auroc": areas,
        }
    )
    row = curves(drawn).row(0, named=True)
    assert row["auroc"] == pytest.approx(areas.mean())
    assert [row["low"], row["high"]] == pytest.approx(np.quantile(areas, [0.025, 0.975]))
    assert row["spread"] == pytest.approx(areas.std(ddof=1))


@pytest.mark.parametrize(("pairs", "draws", "said"), [([1, 4], 3, "pairs"), ([4], 1, "draws")])
def test_settings_that_cannot_be_are_refused(pairs, draws, said):
    with pytest.raises(InputError, match=f"efficiency.{said}: expected at least 2, found 1"):
        Efficiency(pairs=pairs, draws=draws)
