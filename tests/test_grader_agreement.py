"""Agreement of graders: kept libraries' numbers, intervals that hold, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from conftest import ROOT, run_stage
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from sycophancy_steering.external.grade_table import (
    agreement_report,
    read_long_grades,
    read_wide_grades,
)
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.labels.label_sources import kappa
from sycophancy_steering.statistics.grader_agreement import cohen_kappa, krippendorff_alpha

SEVERAL = np.random.default_rng(0)


def two_graders(rng: np.random.Generator, n_items: int, squared: bool):
    """Items, and two graders' grades of four answers about each, alike within an item."""
    item = np.repeat(np.arange(n_items), 4)
    truth = rng.normal(size=n_items)[item] + rng.normal(size=len(item))
    grades = [truth + 0.6 * rng.normal(size=n_items)[item] + 0.4 * rng.normal(size=len(item))
              for _ in range(2)]  # fmt: skip
    return item, *(grades if squared else [(g > 0.8).astype(float) for g in grades])


@pytest.mark.parametrize(("squared", "weights"), [(False, None), (True, "quadratic")])
def test_kappa_is_scikit_learns(squared, weights):
    one, other = SEVERAL.integers(0, 101, (2, 300)).astype(float)
    other[:150] = one[:150]
    own = cohen_kappa(one, other, np.arange(300), squared=squared)
    # scikit-learn weighs by the place of a grade among those given, so all of them are given.
    levels = np.arange(101)
    expected = cohen_kappa_score(one, other, labels=levels, weights=weights)
    assert float(own.value) == pytest.approx(expected, rel=0, abs=1e-12)
    assert own.low < own.value < own.high


@pytest.mark.parametrize(("squared", "level"), [(False, "nominal"), (True, "interval")])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_alpha_is_the_kept_librarys(squared, level, missing):
    grades = SEVERAL.integers(0, 5, (3, 200)).astype(float)
    grades[1, :90] = grades[0, :90]
    grades[SEVERAL.random(grades.shape) < missing] = np.nan
    own = krippendorff_alpha(list(grades), np.arange(200), squared=squared)
    expected = krippendorff.alpha(grades, level_of_measurement=level)
    assert float(own.value) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("squared", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(squared):
    rng = np.random.default_rng(2)
    item, one, other = two_graders(rng, 50_000, squared)
    truth = float(cohen_kappa(one, other, item, squared=squared).value)
    hits, naive = [], []
    for _ in range(200):
        item, one, other = two_graders(rng, 30, squared)
        for found, clusters in ((hits, item), (naive, np.arange(len(item)))):
            for estimate in (
                cohen_kappa(one, other, clusters, squared=squared),
                krippendorff_alpha([one, other], clusters, squared=squared),
            ):
                found.append(estimate.low <= truth <= estimate.high)
    assert np.mean(hits) > 0.9
    assert np.mean(hits) > np.mean(naive)


def test_the_influence_is_the_derivative_by_an_items_weight():
    """Leaving out one of many items changes the coefficient by its influence: the intervals of a
    jackknife over items are nearly ours."""
    rng = np.random.default_rng(3)
    item, one, other = two_graders(rng, 150, True)
    for coefficient in (
        lambda part: cohen_kappa(one[part], other[part], item[part], squared=True),
        lambda part: krippendorff_alpha([one[part], other[part]], item[part], squared=True),
    ):
        without = np.log(1 - np.array([coefficient(item != k).value for k in range(150)]))
        error = np.sqrt(149 / 150 * ((without - without.mean()) ** 2).sum())
        whole = coefficient(item >= 0)
        width = np.log((1 - whole.low) / (1 - whole.high)) / 2 / 1.976  # t of 149
        assert width == pytest.approx(error, rel=0.05)


def test_perfect_and_constant_grades():
    one = np.array([0.0, 1, 0, 1, 1])
    perfect = cohen_kappa(one, one, np.arange(5))
    assert perfect.value == perfect.high == 1 and perfect.low < 0.1  # five answers prove little
    assert np.isnan(cohen_kappa(np.ones(5), np.ones(5), np.arange(5)).value)
    assert np.isnan(krippendorff_alpha([np.ones(5), np.ones(5)], np.arange(5)).value)
    assert kappa(["a", "b", "a"], ["a", "b", "b"]) == pytest.approx(
        cohen_kappa_score(["a", "b", "a"], ["a", "b", "b"])
    )


WIDE = """id,ann,bo,judge
1,40,50,45
2,90,70,
3,10,10,12
4,,3,5
5,77,80,60
"""


def long_form(wide: str) -> str:
    header, *rows = [line.split(",") for line in wide.split()]
    cells = [(row[0], name, grade) for row in rows for name, grade in zip(header[1:], row[1:],
             strict=True)]  # fmt: skip
    return "\n".join(["id,who,score", *(",".join(cell) for cell in reversed(cells))])


def test_wide_and_long_tables_give_the_same_numbers(tmp_path):
    (tmp_path / "wide.csv").write_text(WIDE)
    (tmp_path / "long.csv").write_text(long_form(WIDE))
    out = [tmp_path / "wide.json", tmp_path / "long.json"]
    columns = ["--item", "id", "--graders", "ann", "bo", "judge"]
    done = run_stage(ROOT, "agreement", str(tmp_path / "wide.csv"), *columns, "--json", str(out[0]))
    assert done.returncode == 0, done.stderr
    columns = ["--item", "id", "--grader", "who", "--grade", "score"]
    done = run_stage(ROOT, "agreement", str(tmp_path / "long.csv"), *columns, "--json", str(out[1]))
    assert done.returncode == 0, done.stderr
    wide, long = (json.loads(path.read_text()) for path in out)
    assert wide["grades"] == "scores" and wide["n_graded"] == {"ann": 4, "bo": 5, "judge": 4}
    pair = wide["pairs"][0]
    assert (pair["one"], pair["other"], pair["n"]) == ("ann", "bo", 4)
    expected = spearmanr([40, 90, 10, 77], [50, 70, 10, 80])[0]
    assert pair["rank_correlation"] == pytest.approx(expected, abs=1e-12)
    assert f"{wide['krippendorff_alpha_squared']:.3f}" in done.stdout
    assert long["n"] == wide["n"] == 5
    for one, other in zip([long, *long["pairs"]], [wide, *wide["pairs"]], strict=True):
        numbers = {key: value for key, value in one.items() if isinstance(value, float)}
        assert len(numbers) > 5
        assert numbers == pytest.approx({key: other[key] for key in numbers}, abs=1e-12)


def test_words_are_categories_whatever_their_case(tmp_path):
    (tmp_path / "g.csv").write_text("id,a,b\n1,Sycophantic,sycophantic\n2,other,other\n3,other,\n")
    report = agreement_report(read_wide_grades(tmp_path / "g.csv", "id", ["a", "b"], ""))
    assert not report.are_scores
    assert float(report.pairs[0].results["cohen_kappa"].estimate.value) == 1
    assert report.n_graded == {"a": 3, "b": 2}


def test_intervals_are_clustered_by_another_column_where_one_is_named(tmp_path):
    rows = [f"{n},{n // 4},{n % 3},{(n + (n // 4) % 2) % 3}" for n in range(40)]
    (tmp_path / "g.csv").write_text("\n".join(["id,topic,a,b", *rows]))
    own = agreement_report(read_wide_grades(tmp_path / "g.csv", "id", ["a", "b"], ""))
    by_topic = agreement_report(read_wide_grades(tmp_path / "g.csv", "id", ["a", "b"], "topic"))
    assert (own.n_clusters, by_topic.n_clusters) == (40, 10)
    alone, clustered = (
        report.pairs[0].results["cohen_kappa"].estimate for report in (own, by_topic)
    )
    assert clustered.value == alone.value
    assert clustered.high - clustered.low > 1.3 * (alone.high - alone.low)


def refusal(path: Path, text: str, long: bool = False) -> str:
    path.write_text(text)

    def read() -> None:
        if long:
            read_long_grades(path, "id", "who", "score", "")
        else:
            read_wide_grades(path, "id", ["a", "b"], "")

    with pytest.raises(InputError) as error:
        read()
    return str(error.value)


def test_bad_grades_are_refused_by_row_and_column(tmp_path):
    path = tmp_path / "g.csv"
    assert "line 3, column 'b': expected a finite number" in refusal(
        path, "id,a,b\n1,40,50\n2,50,x\n"
    )
    assert "line 2, column 'a': expected a grade in words" in refusal(
        path, "id,a,b\n1,1,other\n2,other,other\n"
    )
    assert "column 'id'" in refusal(path, "id,a,b\n,40,50\n")
    assert "line 3: '1' is graded twice by 'ann'" in refusal(
        path, "id,who,score\n1,ann,3\n1,ann,4\n1,bo,4\n", long=True
    )
    assert "two or more graders" in refusal(path, "id,who,score\n1,ann,3\n", long=True)


def test_half_an_interface_is_refused(tmp_path):
    (tmp_path / "g.csv").write_text(WIDE)
    for words in ([], ["--grader", "who"], ["--graders", "ann", "bo", "--grade", "x"]):
        done = run_stage(ROOT, "agreement", str(tmp_path / "g.csv"), "--item", "id", *words)
        assert done.returncode == 1 and done.stderr.startswith("error: expected either --graders")
