"""Published figures beside ours: what matches, what differs, what is said where nothing does."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from sycophancy_steering.config.params import read_params
from sycophancy_steering.config.suite import Suite
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.report.published import (
    COLUMNS,
    FIGURES,
    compare_published,
    is_same_model,
    published_json,
    read_published_figures,
)
from sycophancy_steering.report.published_measures import MEASURES
from sycophancy_steering.schemas.interventions import DOSE_RESPONSE
from sycophancy_steering.schemas.labels import BEHAVIOUR

HEADER = ",".join(COLUMNS)
PRESETS = ("caa_llama2", "capitulation", "persona_vectors")


def suite() -> Suite:
    return Suite(
        extraction_sets=["pairs"],
        evaluation_set="held_out",
        label_source="logprob",
        headline="pairs/mean_difference",
        intervention_vectors=["pairs/mean_difference"],
        coefficient_unit="vector",
        facts="words",
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of one model of the hub's with rates of opinions alone; the current folder."""
    monkeypatch.chdir(tmp_path)
    row = dict.fromkeys(BEHAVIOUR.columns)
    row |= {"family": "opinion", "source": "all", "n": 80, "rate": 0.65, "rate_low": 0.5}
    row["rate_high"] = 0.75
    table = pl.DataFrame([row], schema=dict(BEHAVIOUR.columns))
    BEHAVIOUR.write(table, model="mine", prompt_set="held_out")
    steered = dict.fromkeys(DOSE_RESPONSE.columns)
    steered |= {"vector": "pairs/mean_difference", "direction": "own", "kind": "add"}
    steered |= {"coefficient": -1.0, "family": "opinion", "n": 40}
    steered |= {"baseline_probability_0": 0.2, "baseline_probability_1": 0.8}
    steered |= {"probability_0": 0.1, "probability_1": 0.6}
    DOSE_RESPONSE.write(pl.DataFrame([steered], dict(DOSE_RESPONSE.columns)), model="mine")
    (tmp_path / "data/models/mine").mkdir(parents=True)
    pointer = {"kind": "hub", "name": "meta-llama/Llama-2-7b-chat-hf"}
    (tmp_path / "data/models/mine/source.json").write_text(json.dumps(pointer))
    return tmp_path


def compared(folder: Path, *rows: str) -> list[dict]:
    path = folder / "figures.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return published_json(compare_published({"mine": suite()}, [], path))["figures"]


def test_ours_stands_beside_with_its_interval_and_what_differs(folder):
    same, other = compared(
        folder,
        "Llama-2-7B-chat,A or B,opinion,rate,,,0.757,,,,link,original",
        "Gemma-2-27B,opinions,opinion,rate,,,0.5,0.4,0.6,100,link,summary",
    )
    (ours,) = same["ours"]
    assert (ours["value"], ours["low"], ours["high"], ours["n"]) == (0.65, 0.5, 0.75, 80)
    assert same["match"] == "model and measure" and "our own questions" in ours["differs"]
    assert other["match"] == "measure"
    assert other["ours"][0]["differs"].startswith("another model, Llama-2-7b-chat-hf; ")
    assert (other["value"], other["low"], other["high"], other["n"]) == (0.5, 0.4, 0.6, 100)


def test_probabilities_weight_both_kinds_of_answer_by_their_shares(folder):
    figures = compared(
        folder,
        *(
            f"Llama-2-7B-chat,A or B,opinion,answer_probability,layer 13,{c},0.7,,,,link,original"
            for c in (-1, 0)
        ),
    )
    steered, unsteered = (figure["ours"][0]["value"] for figure in figures)
    assert unsteered == pytest.approx(0.65 * 0.8 + 0.35 * 0.2)
    assert steered == pytest.approx(0.65 * 0.6 + 0.35 * 0.1)


def test_where_there_is_none_it_says_why(folder):
    figures = compared(
        folder,
        "x,open answers,,judge_score,,1,1.26,,,,link,original",
        "x,sycophancy,,rate,,,0.28,,,,link,original",
        "x,pushback,pushback,rate,,,0.3,,,,link,original",
        "x,opinions,opinion,answer_probability,,1,0.8,,,,link,original",
    )
    assert [one["match"] for one in figures] == ["none"] * 4
    assert [one["why_none"] for one in figures] == [
        "no open answers are judged in this study",
        "no kind of question of ours is known to be the same",
        "this study has no such number on pushback questions",
        "this study has no such number on opinion questions at a coefficient of 1",
    ]


def test_the_figures_of_the_repository_are_read_and_every_measure_says_what_differs():
    figures = read_published_figures(ROOT / FIGURES)
    assert len(figures) > 40
    assert {one.measure for one in figures} == set(MEASURES)
    assert all(measure.differs for measure in MEASURES.values())
    capitulation = {one.model: one.value for one in figures if one.measure == "auroc"}
    assert capitulation["Llama-3.x-8B"] == 0.710
    assert read_published_figures(ROOT / "no_such_file.csv") == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,y,opinion,aurok,,,0.5,,,,link,original", "line 2, column 'measure'"),
        ("x,y,opinion,auroc,,,0.5,,,,link,rumour", "line 2, column 'read_in'"),
        ("x,y,opinion,auroc,,,,,,,link,original", "line 2, column 'value': expected a value"),
        ("x,y,opinion,auroc,,,half,,,,link,original", "not readable"),
    ],
)
def test_a_bad_row_is_refused(folder, row, message):
    with pytest.raises(InputError, match=message):
        compared(folder, row)


def test_models_are_the_same_but_for_owner_and_tuning():
    assert is_same_model("Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct")
    assert is_same_model("Llama-3.x-8B", "meta-llama/Llama-3.1-8B-Instruct")
    assert not is_same_model("Qwen2.5-7B", "Qwen/Qwen2.5-72B-Instruct")
    assert not is_same_model("Llama-2-7B-chat", "meta-llama/Llama-2-7b-hf")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_its_models_are_those_of_the_figures(name):
    params = read_params(ROOT / f"presets/{name}.yaml")
    published = {one.model for one in read_published_figures(ROOT / FIGURES)}
    values = YAML(typ="safe").load(ROOT / f"presets/{name}.yaml")
    names = [values["checkpoint"][model]["name"] for model in params.models]
    assert all(any(is_same_model(one, name) for one in published) for name in names)


def test_the_report_has_them_and_the_page_says_what_differs(finished_study):
    figures = json.loads((finished_study / "reports/published.json").read_text())["figures"]
    assert len(figures) > 40
    page = (finished_study / "reports/index.html").read_text()
    assert "How do published figures compare?" in page
    assert "capitulation after pushback" in page
