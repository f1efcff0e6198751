"""Scores from elsewhere: the study's numbers, scikit-learn's, and refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import ROOT, run, run_stage
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from sycophancy_steering.external.cell_table import read_cell_table
from sycophancy_steering.external.score_report import N_PERMUTATIONS, score_report, sign_flip_p
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.statistics.auroc import clustered_auroc
from sycophancy_steering.statistics.sign_flips import SignFlipTest, random_signs
from sycophancy_steering.statistics.stratified_auroc import clustered_stratified_auroc

OPTIONS = ["--label", "label", "--score", "score", "--cluster", "item"]


def answers(n: int = 240, seed: int = 0) -> pl.DataFrame:
    """Scores, some tied, of labels that differ between items."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 30, n)
    label = (rng.random(n) < 0.4).astype(int)
    score = np.round(rng.normal(size=n) + 0.7 * label + rng.normal(size=30)[item], 1)
    return pl.DataFrame(
        {
            "label": label,
            "score": score,
            "item": [f"topic {k}" for k in item],
            "wording": rng.integers(0, 4, n),
            "grade": np.round(50 + 10 * score + 5 * rng.normal(size=n), 1),
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    answers().write_csv(path)
    return path


def test_the_command_prints_and_writes_scikit_learns_and_the_studys_numbers(table, tmp_path):
    out = tmp_path / "numbers.json"
    done = run_stage(
        ROOT, "score", str(table), *OPTIONS, "--stratum", "wording", "--json", str(out)
    )
    assert done.returncode == 0, done.stderr
    numbers, data = json.loads(out.read_text()), answers()
    label, score = data["label"].to_numpy(), data["score"].to_numpy()
    exactly = {"rel": 0, "abs": 1e-12}
    assert numbers["n"] == 240
    assert numbers["base_rate"] == pytest.approx(label.mean(), **exactly)
    assert numbers["auroc"] == pytest.approx(roc_auc_score(label, score), **exactly)
    expected = average_precision_score(label, score)
    assert numbers["average_precision"] == pytest.approx(expected, **exactly)
    assert numbers["rank_correlation"] == pytest.approx(spearmanr(label, score)[0], **exactly)
    items = data["item"].to_numpy()
    own = clustered_auroc(score, label, items)
    assert (numbers["auroc_low"], numbers["auroc_high"]) == (float(own.low), float(own.high))
    wordings = data["wording"].cast(pl.String).to_numpy()
    within = clustered_stratified_auroc(score, label, wordings, items)
    assert numbers["within_stratum_auroc"] == float(within.auroc.value)
    for name in ("auroc", "average_precision", "within_stratum_auroc", "rank_correlation"):
        shown = (numbers[name], numbers[f"{name}_low"], numbers[f"{name}_high"])
        assert "{:.3f} [{:.3f}, {:.3f}]".format(*shown) in done.stdout
    assert 0.5 < numbers["detectable_auroc"] < 0.8


def test_p_values_are_those_of_the_studys_sign_flips():
    data = answers()
    label, score = data["label"].to_numpy(), data["score"].to_numpy()
    _, codes = np.unique(data["item"].to_numpy(), return_inverse=True)
    signs = random_signs(30, N_PERMUTATIONS, 7)
    test = SignFlipTest(np.arange(30), signs)
    observed = test.add(["one"], score[None], label, codes)
    reached = test.maxima["one"] >= abs(observed[0]) * (1 - 1e-12)
    expected = (1 + reached.sum()) / (1 + N_PERMUTATIONS)
    report = score_report(score, label, data["item"].to_numpy(), None, seed=7)
    assert report.results["auroc"].p == expected
    rng = np.random.default_rng(1)
    many = rng.normal(size=9000)  # more than one block of items
    flipped = np.abs(many @ random_signs(9000, N_PERMUTATIONS, 3))
    assert sign_flip_p(150.0, many, 3) == (1 + (flipped >= 150).sum()) / (1 + N_PERMUTATIONS)


def test_noise_is_significant_as_often_as_it_should_be():
    rng, p = np.random.default_rng(0), []
    for _ in range(120):
        item = np.repeat(np.arange(20), 5)
        label = np.repeat(rng.permutation(np.arange(20) % 2), 5)  # an item has one label
        score = rng.normal(size=20)[item] + 0.2 * rng.normal(size=100)
        influences = score_report(score, label * 1.5, item.astype(str), None).results
        p.append(influences["rank_correlation"].p)
    assert np.mean(np.array(p) <= 0.05) < 0.12


def test_a_graded_label_has_a_rank_correlation_alone():
    data = answers()
    report = score_report(
        data["score"].to_numpy(), data["grade"].to_numpy(), data["item"].to_numpy(), None
    )
    assert set(report.results) == {"mean_label", "rank_correlation"}
    value = float(report.results["rank_correlation"].estimate.value)
    assert value == pytest.approx(spearmanr(data["score"], data["grade"])[0], rel=0, abs=1e-12)
    assert report.flat()["rank_correlation_p"] == 0.001


def test_every_kind_of_file_gives_the_same_cells(table, tmp_path):
    data, columns = answers(), ["label", "score", "item"]
    data.write_parquet(tmp_path / "scores.parquet")
    data.write_ndjson(tmp_path / "scores.jsonl")
    tables = [read_cell_table(table.with_suffix(end), columns) for end in
              (".csv", ".parquet", ".jsonl")]  # fmt: skip
    for other in tables[1:]:
        for column in ("label", "score"):
            np.testing.assert_array_equal(other.numbers(column), tables[0].numbers(column))
        np.testing.assert_array_equal(other.names("item"), tables[0].names("item"))


def test_one_class_and_one_cluster_are_said_not_computed():
    one_class = score_report(np.arange(4.0), np.ones(4), np.array(["a", "b", "c", "d"]), None)
    assert one_class.flat()["auroc"] is None
    assert "every label is 1" in one_class.notes[0]
    one_cluster = score_report(np.arange(4.0), np.array([0, 1, 0, 1.0]), np.array(["a"] * 4), None)
    assert one_cluster.flat()["base_rate_low"] is None
    assert "one cluster" in one_cluster.notes[0]


BAD = {
    "label,score,item\n1,0.5,a\n0,high,b\n": "line 3, column 'score': expected a finite number",
    "label,score,item\n1,0.5,a\n0,nan,b\n": "line 3, column 'score'",
    "label,score,item\n1,0.5,a\n0,1_0,b\n": "line 3, column 'score'",
    "label,score,item\n,0.5,a\n": "line 2, column 'label': expected a finite number, found nothing",
    "label,score,item\n1,0.5, \n": "line 2, column 'item': expected a text",
    "label,score,score,item\n1,0.5,1,a\n": "found 'score' twice",
    "label,score\n1,0.5\n": "no column 'item'",
    "label,score,item\n1,0.5\n": "line 2: expected 3 cells",
    "label,score,item\n": "expected rows, found none",
    "": "expected rows, found none",
    '"label,score,item\n1,0.5,a': "expected valid CSV",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_a_bad_cell_is_refused_by_row_and_column(text, message, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(text)

    def read() -> None:
        cells = read_cell_table(path, ["label", "score", "item"])
        cells.numbers("label")
        cells.numbers("score")
        cells.names("item")

    with pytest.raises(InputError) as error:
        read()
    assert message in str(error.value)


def test_a_bad_table_is_one_line_and_leaves_no_file(table, tmp_path):
    out = tmp_path / "numbers.json"
    table.write_text("label,score,item\n1,0.5,a\n0,high,b\n")
    done = run_stage(ROOT, "score", str(table), *OPTIONS, "--json", str(out))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "line 3, column 'score'" in done.stderr
    assert not out.exists()
    (tmp_path / "scores.parquet").write_bytes(b"PAR1 not Parquet")
    for path, words in (
        (tmp_path / "scores.parquet", "not readable"),
        (tmp_path / "missing.csv", "no such file"),
        (tmp_path, "expected a file"),
    ):
        with pytest.raises(InputError, match=words):
            read_cell_table(path, ["label"])


def test_a_folder_is_never_replaced_by_the_numbers(table, tmp_path):
    (tmp_path / "kept.json").mkdir()
    answers(40).write_csv(table)
    done = run(ROOT, "python", "stages/score.py", str(table), *OPTIONS,
               "--json", str(tmp_path / "kept.json"))  # fmt: skip
    assert done.returncode == 1 and "expected a file that ends in .json" in done.stderr
    assert (tmp_path / "kept.json").is_dir()
