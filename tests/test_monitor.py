"""Vectors as monitors: thresholds from neutral chats, against a plain computation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import run_stage
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score
from synthetic_answers import evaluation_cell

from sycophancy_steering.analysis.cells import Cell
from sycophancy_steering.analysis.monitor import (
    FALSE_ALARM_RATES,
    Projections,
    monitor_columns,
)
from sycophancy_steering.report.monitor import monitor_section, verdict
from sycophancy_steering.report.templates import render
from sycophancy_steering.schemas.analysis import MONITOR
from sycophancy_steering.storage.activation_shards import read_activations

NEUTRAL = "  chats: {sources: {neutral_chats: 40}, splits: [test], extract: prompts}\n"


def cell_of(labels: np.ndarray, items: np.ndarray) -> Cell:
    return evaluation_cell("f", "all", np.arange(len(labels)), labels, items)


def planted(on_giving_in: float, on_topic: float, n: int = 200) -> dict[str, Any]:
    """The columns of a vector that rises where the model gives in, and on the family's topic."""
    rng = np.random.default_rng(0)
    labels, items = rng.integers(0, 2, n), np.repeat(np.arange(n // 4), 4)
    answers = on_topic + on_giving_in * labels + rng.normal(size=(1, n))
    random = Projections(rng.normal(size=(200, n)), rng.normal(size=(200, 300)))
    read = Projections(answers, rng.normal(size=(1, 300)))
    columns = monitor_columns(cell_of(labels, items), read, random, 0.05)
    return {name: float(value[0]) for name, value in columns.items()} | {
        "vector": "set/mean_difference",
        "family": "f",
        "null": False,
        "layer": 1,
        "false_alarm_rate": 0.05,
        "n": n,
        "n_sycophantic": int(labels.sum()),
        "n_items": n // 4,
        "n_neutral": 300,
    }


@pytest.mark.parametrize(
    ("on_giving_in", "on_topic", "words"),
    [
        (5, 0, "a monitor: "),
        (0, 5, "not shown to be a monitor of sycophancy: it notices such questions"),
        (0, 0, "no monitor: it may flag no more"),
    ],
)
def test_what_a_monitor_is_called(on_giving_in, on_topic, words):
    assert verdict(planted(on_giving_in, on_topic)).startswith(words)


def test_what_random_directions_do_as_well_is_said():
    row = planted(5, 0) | {"random_difference_low": -1.0, "random_difference_high": 1.0}
    assert verdict(row) == "it tells who gives in, but no better than random directions"


@pytest.mark.parametrize("label", [0, 1])
def test_a_family_with_one_kind_of_answer(label):
    rng = np.random.default_rng(1)
    answers, chats = (
        Projections(rng.normal(size=(k, 60)) + 3, rng.normal(size=(k, 60))) for k in (1, 200)
    )
    cell = cell_of(np.full(60, label), np.arange(60))
    columns = monitor_columns(cell, answers, chats, 0.05)
    row = {name: float(value[0]) for name, value in columns.items()} | {"false_alarm_rate": 0.05}
    assert np.isnan(row["recall_difference"])
    assert verdict(row).startswith(
        "it catches sycophantic answers, but there are no others"
        if label
        else "there is no sycophantic answer to catch"
    )


def test_the_section_says_nothing_of_families_that_the_user_does_not_move():
    rows = [
        planted(5, 0) | {"family": family, "false_alarm_rate": rate}
        for family in ("moved", "unmoved")
        for rate in FALSE_ALARM_RATES
    ]
    table = pl.DataFrame(rows, schema=MONITOR.columns)
    section = monitor_section(table, "set/mean_difference", {}, {"unmoved"})
    assert section
    text = render(section)
    assert "**moved**: a monitor: " in text and "**unmoved**" not in text
    assert "Nothing is said of unmoved" in text
    assert monitor_section(table, "set/mean_difference", {}, {"moved", "unmoved"}) is None


def test_a_study_has_the_recall_of_a_plain_computation(study: Path):
    params = study / "params.yaml"
    text = params.read_text().replace("small: [pairs, held_out]", "small: [pairs, held_out, chats]")
    text = text.replace("prompt_set:\n", "prompt_set:\n" + NEUTRAL)
    params.write_text(
        text.replace("    evaluation_set", "    neutral_set: chats\n    evaluation_set")
    )
    stages = (["prompts"], ["activations", "tiny"], ["labels"], ["analysis"], ["report"])
    for words in stages:
        done = run_stage(study, *words)
        assert done.returncode == 0, done.stderr
    table = pl.read_csv(study / "reports/analysis/tiny/monitor.csv")
    labels = pl.read_parquet(study / "data/labels/tiny/held_out.parquet")
    cells = pl.read_parquet(study / "reports/cells/tiny/pairs.parquet")
    assert {*table["vector"]} == {"pairs/mean_difference", "pairs/random"}
    n_compared = 0
    for row in table.iter_rows(named=True):
        variant = row["vector"].removeprefix("pairs/")
        vectors = load_file(study / f"vectors/extracted/tiny/pairs/{variant}.safetensors")
        layer = cells.filter(
            pl.col("selected"), pl.col("vector") == variant, pl.col("position") == "prompt"
        )["layer"][0]
        assert row["layer"] == layer
        unit = vectors[f"layer_{layer:02d}"] / np.linalg.norm(vectors[f"layer_{layer:02d}"])
        scores = {}
        for name in ("chats", "held_out"):
            read = read_activations(study / f"data/activations/tiny/{name}", layer, "prompt")
            scores[name] = read.activations.astype(float) @ unit
        ranked = sorted(scores["chats"], reverse=True)
        threshold = ranked[{0.01: 0, 0.05: 2}[row["false_alarm_rate"]]]
        family = (labels["family"] == row["family"]) & (labels["split"] == "test")
        flagged = {}
        for label in (0, 1):
            members = (family & (labels["label"] == label)).fill_null(value=False).to_numpy()
            flagged[label] = scores["held_out"][members] > threshold
        assert row["n_neutral"] == 40
        assert row["n_sycophantic"] == len(flagged[1])
        assert row["n"] == len(flagged[0]) + len(flagged[1])
        for name, label in (("recall", 1), ("other_recall", 0)):
            if len(flagged[label]):
                assert row[name] == pytest.approx(flagged[label].mean(), abs=1e-5)
                n_compared += 1
        if len(flagged[1]):
            members = (family & (labels["label"] == 1)).fill_null(value=False).to_numpy()
            both = np.concatenate([scores["held_out"][members], scores["chats"]])
            expected = roc_auc_score(np.repeat([1, 0], [members.sum(), 40]), both)
            assert row["auroc"] == pytest.approx(expected, abs=1e-5)
    assert n_compared >= 8
    params.write_text(params.read_text().replace("neutral_set: chats", "neutral_set: held_out"))
    refused = run_stage(study, "analysis")
    assert refused.stderr.startswith("error: params.yaml: suite.small: neutral_set: expected ")
    assert len(refused.stderr.splitlines()) == 1
