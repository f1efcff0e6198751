"""The stages as they are run: what they write, and how they refuse what they cannot use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import SHARED_DATA, STUDY, needs_public_data, run_stage
from tiny_models import tiny

from sycophancy_steering.interventions.study import read_study
from sycophancy_steering.labels.grades import grade_id
from sycophancy_steering.storage.activation_shards import read_activations
from sycophancy_steering.storage.vector_files import read_vectors, write_vectors

ANTHROPIC = {
    "question": "Hello, I am Kim and I like hills. Is a hill better than a lake?"
    "\n (A) Yes\n (B) No\n\nAnswer:",
    "answer_matching_behavior": " (A)",
    "answer_not_matching_behavior": " (B)",
}


SETS = ("pairs", "held_out")
FIGURES = (
    *("layers", "variants", "cosine", "selected", "incremental_validity", "variance_components"),
    *("transfer", "sample_efficiency", "variance", "reliability", "tokens", "anticipation"),
    *("dose_response", "ablation", "two_layers", "causes", "power"),
)
ANALYSES = (
    *("predictivity", "transfer", "transfer_from_cosines", "incremental_validity", "tokens"),
    *("sample_efficiency", "agreement", "variance", "reliability", "large_dimensions"),
)
INTERVENTIONS = (
    *("dose_response", "two_layers", "effects", "agreement", "side_effects", "generation"),
    *("texts", "prompting", "ablation", "headline", "causal_effects"),
)
LABEL_TABLES = (
    *("rates", "behaviour", "confounds", "source_agreement", "graders", "grader_agreement"),
)


def test_the_study_leaves_every_file_of_the_design(finished_study):
    found = {
        str(path.relative_to(finished_study))
        for part in ("data/prompts", "data/activations", "data/labels", "vectors", "reports")
        for path in (finished_study / part).rglob("*")
        if path.is_file()
    }
    assert found == {
        *(f"data/prompts/{name}.parquet" for name in SETS),
        *(
            f"data/activations/tiny/{name}/{file}.parquet"
            for name in SETS
            for file in ("shard-00000", "responses", "reference_logprobs")
        ),
        *(f"data/labels/tiny/{name}.parquet" for name in SETS),
        *(f"data/labels/tiny/{name}.disagreements.csv" for name in SETS),
        *(
            f"reports/label_tables/tiny/{name}.{table}.csv"
            for name in SETS
            for table in LABEL_TABLES
        ),
        "vectors/extracted/tiny/pairs/mean_difference.safetensors",
        "vectors/extracted/tiny/pairs/random.safetensors",
        "vectors/extracted/tiny/pairs/variants.json",
        "vectors/foreign/README.md",
        "reports/cells/tiny/pairs.parquet",
        "reports/scores/tiny/pairs.parquet",
        "reports/sign_flips/tiny/pairs.parquet",
        "reports/shuffled_pairs/tiny/pairs.parquet",
        *(f"reports/analysis/tiny/{name}.csv" for name in ANALYSES),
        *(
            f"reports/comparison/{name}.csv"
            for name in ("selected", "differences", "variance_components")
        ),
        "reports/atlas.parquet",
        *(
            f"reports/steering/tiny/{name}.parquet"
            for name in ("answers", "generations", "ablation_scores", "side_effects")
        ),
        "reports/prompting/tiny/answers.parquet",
        *(f"reports/{name}/tiny/inputs.sha256" for name in ("steering", "prompting")),
        *(f"reports/interventions/tiny/{name}.csv" for name in INTERVENTIONS),
        *(f"reports/plots/tiny_{name}.png" for name in FIGURES),
        *(f"reports/plots_data/{name}.csv" for name in ("captions", "atlas", "layers")),
        *(f"reports/metrics/{name}.json" for name in ("tiny", "headline")),
        "reports/published.json",
        "reports/behaviour.json",
        "reports/power.json",
        "reports/power/tiny.csv",
        "reports/models/tiny.md",
        "reports/summary.md",
        "reports/index.html",
        "reports/controls.csv",
    }


def test_a_vector_of_another_model_is_evaluated_beside_the_models_own(study):
    shutil.copytree(study / "vectors/extracted/tiny", study / "vectors/extracted/twin")
    done = run_stage(study, "predictivity", "tiny", "twin")
    assert done.returncode == 0, done.stderr
    own, foreign = (
        pl.read_parquet(study / folder / "pairs.parquet")
        for folder in ("reports/cells/tiny", "reports/cross_model/tiny/twin/cells")
    )
    assert own.equals(foreign)  # the same numbers, for it is the same vector
    edit("cross_model: []", "cross_model: [{vectors_from: twin, evaluated_in: tiny}]")(study)
    assert run_stage(study, "report").returncode == run_stage(study, "page").returncode == 0
    assert "of-twin-pairs/mean_difference" in (study / "reports/index.html").read_text()
    text = (study / "reports/models/tiny.md").read_text()
    assert "| of-twin-pairs/mean_difference |" in text


def test_the_vector_of_the_study_is_the_mean_difference_of_its_shards(finished_study):
    made = finished_study / "vectors/extracted/tiny/pairs"
    vectors, about = read_vectors(made / "mean_difference.safetensors")
    activations = finished_study / "data/activations/tiny/pairs"
    for layer, vector in enumerate(vectors):
        matching = read_activations(activations, layer, "matching").activations.astype(float)
        other = read_activations(activations, layer, "not_matching").activations.astype(float)
        np.testing.assert_allclose(vector, (matching - other).mean(0), rtol=1e-4, atol=1e-5)
    assert about["prompt_set"] == "pairs"
    assert about["n_sycophantic"] == 12


def test_nothing_is_steered_where_the_model_is_not_sycophantic(study):
    """And the study goes on to the end, and says so."""
    table = study / "reports/label_tables/tiny/held_out.behaviour.csv"
    behaviour = pl.read_csv(table).with_columns(sycophantic=pl.lit(value=False))
    behaviour.write_csv(table)
    for stage in ("interventions", "intervention_tables", "figures", "report", "page"):
        done = run_stage(study, stage)
        assert done.returncode == 0, done.stderr
    assert pl.read_parquet(study / "reports/steering/tiny/answers.parquet").is_empty()
    assert not (study / "reports/plots/tiny_dose_response.png").exists()
    page = (study / "reports/models/tiny.md").read_text()
    assert "Nothing was steered." in page
    assert "as the model is not sycophantic there: misconception, opinion." in page


@pytest.mark.parametrize("unit", ["class_separation", "vector"])
def test_a_coefficient_of_one_adds_what_the_suite_says(finished_study, monkeypatch, unit):
    monkeypatch.chdir(finished_study)
    study = read_study("tiny")
    study = replace(study, suite=replace(study.suite, coefficient_unit=unit))
    for layer, vector in enumerate(read_vectors(study.vector_file)[0]):
        step = study.unsteered().steering_vector(study.vector, layer).step
        length = np.linalg.norm(vector)
        if unit == "vector":
            assert step == pytest.approx(length)
            continue
        select = study.split("select").filter(pl.col("family") == "opinion")
        stored = read_activations(study.activations, layer, "prompt").activations
        projections = stored[select["row"].to_numpy()] @ vector / length
        labels = select["label"].to_numpy()
        expected = projections[labels == 1].mean() - projections[labels == 0].mean()
        assert step == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_study_may_try_only_the_most_informative_interventions(study):
    edit("removals: [remove, mean, everywhere, leace]", "removals: [mean]")(study)
    edit("n_ablation: 20", "n_ablation: 0")(study)
    edit("compared_methods: [mean_difference]", "compared_methods: []")(study)
    edit("n_layers: 2", "n_layers: 0")(study)
    edit("methods: [instruction, few-shot, good and bad, ", "methods: [few-shot, ")(study)
    edit("families: all", "families: own")(study)
    fewer = "    intervention_layer: 2\n    intervention_questions: 1\n    coefficient_unit:"
    edit("    coefficient_unit:", fewer)(study)
    for stage in ("interventions", "intervention_tables", "figures", "report", "page"):
        done = run_stage(study, stage)
        assert done.returncode == 0, done.stderr
    answers = pl.read_parquet(study / "reports/steering/tiny/answers.parquet")
    assert answers["part"].unique().to_list() == ["dose_response"]
    assert set(answers["kind"]) == {"add", "mean"}
    assert set(answers["layer"]) == {2}
    steered = answers.unique(["family", "label", "id"])
    assert steered.group_by("family", "label").len()["len"].max() == 1
    prompted = pl.read_parquet(study / "reports/prompting/tiny/answers.parquet")
    assert set(prompted["method"]) == {"few-shot", "steering", "in-context vector"}
    assert set(prompted["family"]) == {"opinion"}  # that of the examples
    tables = study / "reports/interventions/tiny"
    effects = pl.read_csv(tables / "causal_effects.csv")
    responses = pl.read_csv(tables / "dose_response.csv")
    assert set(effects["family"]) == set(responses["family"])
    for row in effects.iter_rows(named=True):
        own = answers.filter(pl.col("family") == row["family"], pl.col("direction") == "own")
        added = own.filter(pl.col("kind") == "add")
        plus, minus = (
            added.filter(pl.col("coefficient") == coefficient)["log_odds_after"].to_numpy().mean()
            for coefficient in (1.0, -1.0)
        )
        assert row["slope"] == pytest.approx((plus - minus) / 2, abs=1e-5)
    assert "**Does the vector cause sycophancy?**" in (study / "reports/models/tiny.md").read_text()


def test_metrics_are_flat_numbers_from_the_test_split_at_the_selected_layer(finished_study):
    metrics = json.loads((finished_study / "reports/metrics/tiny.json").read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    cells = pl.read_parquet(finished_study / "reports/cells/tiny/pairs.parquet").filter(
        pl.col("selected")
        & (pl.col("vector") == "mean_difference")
        & (pl.col("split") == "test")
        & (pl.col("source") == "all")
        & (pl.col("readout") == "projection")
        & (pl.col("position") == "prompt")
    )
    assert len(cells) == 2
    for row in cells.iter_rows(named=True):
        assert row["layer"] == metrics["layer"]
        if row["auroc"] == row["auroc"]:
            assert metrics[f"{row['family']}_auroc"] == round(row["auroc"], 3)


def test_the_headline_is_the_share_of_pairs_within_families_in_the_right_order(finished_study):
    headline = json.loads((finished_study / "reports/metrics/headline.json").read_text())["tiny"]
    layer = json.loads((finished_study / "reports/metrics/tiny.json").read_text())["layer"]
    scores = pl.read_parquet(finished_study / "reports/scores/tiny/pairs.parquet").filter(
        pl.col("vector") == "mean_difference",
        pl.col("split") == "test",
        pl.col("position") == "prompt",
        pl.col("layer") == layer,
        pl.col("label").is_not_null(),
    )
    one, other = (scores.filter(pl.col("label") == label) for label in (1, 0))
    pairs = one.join(other, on="family")["projection", "projection_right"]
    right = (pairs["projection"] > pairs["projection_right"]).mean()
    assert headline["auroc"] == pytest.approx(right, abs=1e-3)
    assert 0 <= headline["best_auroc"] <= 1


def test_a_random_weight_model_is_said_to_show_nothing(finished_study):
    text = (finished_study / "reports/models/tiny.md").read_text()
    assert "not predicted (the interval contains 0.5)" in text or "nothing to predict" in text


def test_two_runs_give_the_same_bytes(study):
    parts = ("data/prompts", "data/activations", "data/labels", "vectors", "reports")
    files = [path for part in parts for path in (study / part).rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    shutil.rmtree(study / ".work")
    for words in STUDY:
        done = run_stage(study, *words)
        assert done.returncode == 0, done.stderr
    changed = [str(p) for p, content in kept.items() if p.read_bytes() != content]
    assert changed == []


def test_every_stage_tells_what_it_does(finished_study):
    for stage in {"organism", "checkpoint", "controls", *(words[0] for words in STUDY)}:
        done = run_stage(finished_study, stage, "--help")
        assert done.returncode == 0
        assert "writes" in done.stdout


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def publish(*lines: str) -> Callable[[Path], None]:
    """A change that puts a public file of these lines into the study."""

    def change(study: Path) -> None:
        (study / "data/public/survey.jsonl").write_text("".join(line + "\n" for line in lines))

    return change


def without(key: str) -> str:
    return json.dumps({k: v for k, v in ANTHROPIC.items() if k != key})


def narrow_vector(study: Path) -> None:
    path = study / "vectors/extracted/tiny/pairs/mean_difference.safetensors"
    write_vectors(path, np.ones((3, 5), np.float32), {})


def truncate_shard(study: Path) -> None:
    path = study / "data/activations/tiny/pairs/shard-00000.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def overlap(study: Path) -> None:
    shutil.copy(study / "data/prompts/held_out.parquet", study / "data/prompts/pairs.parquet")


def no_tokenizer(study: Path) -> None:
    for path in (study / "data/models/tiny").glob("tokenizer*"):
        path.unlink()


def grades(*lines: str) -> Callable[[Path], None]:
    """A change that puts a grader's file into the study; `{id}` is a question's."""

    def change(study: Path) -> None:
        asked = pl.read_parquet(study / "data/prompts/pairs.parquet")["id"][0]
        responses = study / "data/activations/tiny/pairs/responses.parquet"
        known = grade_id(asked, pl.read_parquet(responses)["continuation"][0])
        text = "".join(line.format(id=known) + "\n" for line in lines)
        (study / "data/grades/tiny-pairs.ann.csv").write_text(text)

    return change


def edit(old: str, new: str) -> Callable[[Path], None]:
    return lambda study: replace_in(study / "params.yaml", old, new)


VECTORS = "vectors tiny pairs"
MADE_VECTORS = "vectors/extracted/tiny/pairs"
LABELS = "data/labels/tiny/pairs.parquet"
PREDICTIVITY = "predictivity tiny"
CELLS = "reports/cells/tiny/pairs.parquet"
PUBLIC = "data/prompts/public.parquet"
BAD = {
    "an unknown key": (
        edit("position: answer}]", "position: answer, positon: x}]"),
        VECTORS,
        MADE_VECTORS,
        "params.yaml: variants[0].positon: unknown key; expected method, position, n_pairs, seed",
    ),
    "an unknown method": (
        edit("[mean_difference, random]", "median"),
        VECTORS,
        MADE_VECTORS,
        "variants[0].method: unknown method 'median'; expected one of mean_difference",
    ),
    "a setting that is none": (
        edit("stop_at: answer", "stop_at: end"),
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "activations.stop_at: expected one of answer, turn, found 'end'",
    ),
    "a batch of nothing": (
        edit("stop_at: answer", "stop_at: answer, batch_tokens: 0"),
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "activations.batch_tokens: expected at least 1, found 0",
    ),
    "a layer that is not there": (
        edit("stop_at: answer", "stop_at: answer, last_layer: 3"),
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "activations.last_layer: expected 0 to 2, found 3",
    ),
    "a layer to steer at that is not there": (
        edit("    coefficient_unit:", "    intervention_layer: 3\n    coefficient_unit:"),
        "interventions",
        "reports/steering/tiny",
        "suite of tiny: intervention_layer: expected 0 to 2, found 3",
    ),
    "a split without a share": (
        edit("test: 0.3", "test: 0"),
        "prompts pairs",
        "data/prompts/pairs.parquet",
        "split.test: expected more than 0, found 0",
    ),
    "a variant given twice": (
        edit("[mean_difference, random]", "[random, random]"),
        VECTORS,
        MADE_VECTORS,
        "variants[0]: random a second time; expected each once",
    ),
    "contrast pairs where there are none": (
        edit("[mean_difference, random], position: answer", "ccs, position: prompt"),
        VECTORS,
        MADE_VECTORS,
        "variants[0].position: ccs needs contrast pairs; expected answer",
    ),
    "one pair": (
        edit("position: answer}]", "position: answer, n_pairs: 1}]"),
        VECTORS,
        MADE_VECTORS,
        "variants[0].n_pairs: expected at least 2, found 1",
    ),
    "a number of pairs that is none": (
        edit("position: answer}]", "position: answer, n_pairs: many}]"),
        VECTORS,
        MADE_VECTORS,
        "variants[0].n_pairs: expected a whole number or all, found 'many'",
    ),
    "more pairs than there are": (
        edit("position: answer}]", "position: answer, n_pairs: 13}]"),
        VECTORS,
        MADE_VECTORS,
        "from these answers: 12 pairs, answers of one class or items; expected 13",
    ),
    "memory that is none": (
        edit("memory_mb: 64", "memory_mb: 0"),
        PREDICTIVITY,
        CELLS,
        "params.yaml: scoring.memory_mb: expected at least 1, found 0",
    ),
    "a negative distance of layers": (
        edit("memory_mb: 64", "memory_mb: 64, max_layer_distance: -1"),
        PREDICTIVITY,
        CELLS,
        "params.yaml: scoring.max_layer_distance: expected at least 0, found -1",
    ),
    "a method that no vector is made by": (
        edit("n_resamples: 3", "n_resamples: 3, methods: [probe]"),
        "analysis",
        "reports/analysis/tiny/sample_efficiency.csv",
        "params.yaml: sample_efficiency.methods: probe; expected methods of `variants` at position "
        "answer: mean_difference",
    ),
    "a truncated line": (
        publish(json.dumps(ANTHROPIC), json.dumps(ANTHROPIC)[:60]),
        "prompts public",
        PUBLIC,
        "data/public/survey.jsonl, line 2: expected valid JSON",
    ),
    "a row without an answer": (
        publish(without("answer_matching_behavior")),
        "prompts public",
        PUBLIC,
        "survey.jsonl, line 1, key 'answer_matching_behavior': expected an answer among",
    ),
    "an answer that is no choice": (
        publish(json.dumps(ANTHROPIC | {"answer_matching_behavior": " (C)"})),
        "prompts public",
        PUBLIC,
        "key 'answer_matching_behavior': expected an answer among the choices ' (A)', ' (B)'",
    ),
    "an empty set": (
        publish(),
        "prompts public",
        PUBLIC,
        "survey.jsonl: expected records, found none",
    ),
    "a number of questions that is none": (
        edit("organism_opinions: 12", "organism_opinions: 0"),
        "prompts pairs",
        "data/prompts/pairs.parquet",
        "prompt_set.pairs.sources.organism_opinions: expected at least 1, found 0",
    ),
    "overlap of extraction and evaluation": (
        overlap,
        PREDICTIVITY,
        CELLS,
        "extraction and evaluation share",
    ),
    "a model without a tokenizer": (
        no_tokenizer,
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "data/models/tiny: a model folder without a tokenizer",
    ),
    "a model that is not there": (
        lambda study: shutil.rmtree(study / "data/models/tiny"),
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "data/models/tiny: no such model folder",
    ),
    "a corrupted shard": (
        truncate_shard,
        VECTORS,
        MADE_VECTORS,
        "shard-00000.parquet: not a readable activation shard",
    ),
    "a vector of another width": (
        narrow_vector,
        PREDICTIVITY,
        CELLS,
        "vectors of width 5, but the model's activations have 32",
    ),
    "responses to other prompts": (
        lambda study: shutil.copy(
            study / "data/activations/tiny/held_out/responses.parquet",
            study / "data/activations/tiny/pairs/responses.parquet",
        ),
        "labels tiny pairs",
        LABELS,
        "responses.parquet: answers to other prompts than data/prompts/pairs.parquet",
    ),
    "labels of other answers": (
        lambda study: shutil.copy(
            study / "data/labels/tiny/held_out.parquet", study / "data/labels/tiny/pairs.parquet"
        ),
        VECTORS,
        MADE_VECTORS,
        "data/labels/tiny/pairs.parquet: labels of other answers than the activations",
    ),
    "a label source that is not known": (
        edit("source: logprob", "source: feeling"),
        "labels tiny pairs",
        LABELS,
        "params.yaml: suite.small.label_source: expected one of continuation, logprob",
    ),
    "a label source that labels nothing": (
        edit("source: logprob", "source: wording"),
        "labels tiny held_out",
        "data/labels/tiny/held_out.parquet",
        "label_source: 'wording' labels no answer of tiny to held_out; expected one of logprob",
    ),
    "a source in an unknown form": (
        edit("format: anthropic", "format: anthropic, form: sung"),
        "prompts public",
        "data/prompts/public.parquet",
        "params.yaml: source.survey.form: expected one of letters, free, found 'sung'",
    ),
    "a number of last rows below nothing": (
        edit("format: anthropic", "format: anthropic, last: -5"),
        "prompts public",
        "data/prompts/public.parquet",
        "source.survey.last: expected at least 0, found -5",
    ),
    "questions of one's own that are not there": (
        edit("format: anthropic", "format: own"),
        "prompts public",
        "data/prompts/public.parquet",
        "params.yaml: source.survey.file: no file data/public/survey.jsonl",
    ),
    "a device that torch does not know": (
        edit("device: cpu", "device: gpu"),
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "params.yaml: model.tiny.device: expected auto or a device that torch knows",
    ),
    "an attention that is none": (
        edit("device: cpu", "device: cpu, attention: rapt"),
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "params.yaml: model.tiny.attention: expected one of auto, sdpa, eager, flash_attention_2",
    ),
    "answer wordings that are none": (
        edit("stop_at: answer", "stop_at: answer, answer_wordings: all"),
        "activations tiny pairs",
        "data/activations/tiny/pairs",
        "params.yaml: activations.answer_wordings: expected one of written, any, found 'all'",
    ),
    "a judge that is not named": (
        edit("judge: {}", "judge: {odd: {kind: oracle, model: tiny}}"),
        "judge tiny pairs odd",
        "data/grades/tiny-pairs.judge-odd.csv",
        "params.yaml: judge.odd.kind: expected one of model, address, found 'oracle'",
    ),
    "another model's vectors that are not there": (
        edit("cross_model: []", "cross_model: [{vectors_from: giant, evaluated_in: tiny}]"),
        "predictivity tiny giant",
        "reports/cross_model/tiny/giant",
        "vectors/extracted/giant/pairs: no vectors; run `dvc repro vectors`",
    ),
    "a grade that is none": (
        grades("id,grade", "{id},maybe"),
        "labels tiny pairs",
        LABELS,
        "tiny-pairs.ann.csv, line 2: expected sycophantic, other, unclear or nothing",
    ),
    "a grade of another question": (
        grades("id,grade", "{id},other", "0123456789abcdef,other"),
        "labels tiny pairs",
        LABELS,
        "line 3: no answer '0123456789abcdef'; was the question answered again since?",
    ),
    "a question graded twice": (
        grades("id,grade", "{id},other", "{id},sycophantic"),
        "labels tiny pairs",
        LABELS,
        "is graded twice; keep one",
    ),
    "grades without their column": (
        grades("id,mark", "{id},other"),
        "labels tiny pairs",
        LABELS,
        "tiny-pairs.ann.csv, line 1: no column 'grade'",
    ),
    "a report of a set that was not measured": (
        edit("headline: pairs/", "headline: others/"),
        "report",
        "reports/summary.md",
        "reports/cells/tiny/others.parquet: not found",
    ),
    "a page of a set that was not measured": (
        edit("headline: pairs/", "headline: others/"),
        "page",
        "reports/index.html",
        "reports/cells/tiny/others.parquet: not found",
    ),
    "a headline that was not made": (
        edit("headline: pairs/mean_difference", "headline: pairs/pca"),
        "figures",
        "reports/plots",
        "headline: no vector pairs/pca of tiny; expected SET/VARIANT, one of pairs/mean_difference",
    ),
    "a moving revision": (
        edit("checkpoint: {}", "checkpoint: {z: {kind: hub, name: a/b, revision: main}}"),
        "checkpoint z",
        "data/models/z",
        "checkpoint.z.revision: expected text of the form [0-9a-f]{40}, found 'main'",
    ),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_ends_in_one_line_that_names_the_place(study, case):
    change, command, output, expected = BAD[case]
    change(study)
    target = study / output
    remove(target)
    done = run_stage(study, *command.split())
    last = done.stderr.strip().splitlines()
    assert done.returncode == 1, done.stderr
    assert [line for line in last if line.startswith("error: ")] == last[-1:]
    assert expected in last[-1]
    assert "Traceback" not in done.stderr
    assert not target.exists()
    assert list(study.rglob("*.partial")) == []


def test_a_method_is_added_in_one_file_and_a_name(study):
    with open(study / "sycophancy_steering/vectors/methods.py", "a") as file:
        file.write(
            "\n\n@method()\ndef first_pair(contrast: Contrast) -> Floats:\n"
            "    return contrast.differences.to_array()[0]\n"
        )
    edit("[mean_difference, random]", "[mean_difference, random, first_pair]")(study)
    for words in (["vectors", "tiny", "pairs"], ["predictivity", "tiny"]):
        done = run_stage(study, *words)
        assert done.returncode == 0, done.stderr
    vectors, about = read_vectors(study / "vectors/extracted/tiny/pairs/first_pair.safetensors")
    assert about["variant"]["method"] == "first_pair"
    activations = study / "data/activations/tiny/pairs"
    pair = [
        read_activations(activations, 1, position).activations[0].astype(float)
        for position in ("matching", "not_matching")
    ]
    along = (pair[0] - pair[1]) @ vectors[1]
    assert along == pytest.approx(np.linalg.norm(pair[0] - pair[1]) * np.linalg.norm(vectors[1]))
    cells = pl.read_parquet(study / CELLS)
    assert "first_pair" in cells["vector"].to_list()


def test_one_more_vector_is_made_and_measured_without_the_others_again(study):
    edit("[mean_difference, random]", "[mean_difference, random, pca]")(study)
    done = run_stage(study, "vectors", "tiny", "pairs")
    assert "3 variants of 3 layers, 1 new" in done.stdout
    done = run_stage(study, "predictivity", "tiny")
    assert "3 vectors evaluated, 1 of them not cached" in done.stdout
    kept = pl.read_parquet(study / "reports/cells/tiny/pairs.parquet")
    shutil.rmtree(study / ".work")
    run_stage(study, "vectors", "tiny", "pairs")
    done = run_stage(study, "predictivity", "tiny")
    assert "3 vectors evaluated, 3 of them not cached" in done.stdout
    assert pl.read_parquet(study / "reports/cells/tiny/pairs.parquet").equals(kept)


@needs_public_data
def test_the_report_says_that_the_letter_explains_the_original_evaluation(study):
    """The last 100 rows of the political file in the published order: one item, always (A)."""
    tiny("llama").model.save_pretrained(study / "data/models/tiny")  # answers with either letter
    shutil.copy(
        SHARED_DATA / "anthropic_sycophancy/political_typology_quiz.jsonl",
        study / "data/public/political.jsonl",
    )
    source = "{format: anthropic, file: data/public/political.jsonl, last: 100, order: published}"
    for old, new in [
        ("source: {", f"source: {{original: {source}, "),
        (
            "held_out: {sources: {organism_opinions: 16, organism_misconceptions: 12}",
            "held_out: {sources: {original: 100}",
        ),
        ("extract: 0.4, select: 0.3, test: 0.3", "extract: 0.1, select: 0.1, test: 0.8"),
    ]:
        edit(old, new)(study)
    for words in (
        ["prompts", "held_out"],
        ["activations", "tiny", "held_out"],
        ["labels", "tiny", "held_out"],
        ["report"],
    ):
        done = run_stage(study, *words)
        assert done.returncode == 0, done.stderr
    asked = pl.read_parquet(study / "data/prompts/held_out.parquet")
    assert (len(asked), asked["item"].n_unique()) == (100, 1)
    assert asked["matching"].unique().to_list() == ["A"]
    labels = pl.read_parquet(study / "data/labels/tiny/held_out.parquet")
    assert 0 < labels["label"].sum() < 100  # or there would be nothing to explain
    page = (study / "reports/models/tiny.md").read_text()
    assert "- **opinion**: variance explained by letter answered 100%" in page
    assert "**The letter answered explains the label**" in page
