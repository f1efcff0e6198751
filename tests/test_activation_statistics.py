"""Statistics kept instead of activations: the same vectors, whatever happens on the way."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import PARAMS, ROOT, run
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from ruamel.yaml import YAML
from stage_scripts import stage
from tiny_models import byte_tokenizer, tiny

from sycophancy_steering.activations import extraction, folding, model_work
from sycophancy_steering.activations import run as activations_run
from sycophancy_steering.activations.extraction import StudiedModel
from sycophancy_steering.activations.run import extract_set
from sycophancy_steering.analysis.consistency_tables import consistency_tables
from sycophancy_steering.analysis.large_dimensions import large_dimensions_table
from sycophancy_steering.analysis.model_study import ModelStudy
from sycophancy_steering.analysis.sample_efficiency import sample_efficiency_table
from sycophancy_steering.analysis.shuffled_pairs import shuffled_pairs_tables
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.kept_statistics import (
    NEEDED_MOMENTS,
    NEEDS_ROWS,
    check_kept_statistics,
)
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.params import read_params
from sycophancy_steering.config.predictivity import SampleEfficiencySettings
from sycophancy_steering.config.reading import read_section, validated
from sycophancy_steering.config.suite import read_suite
from sycophancy_steering.config.variants import VariantGrid
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.engine.workers import Task, Work, Workers, local_workers
from sycophancy_steering.foundation.array_stream import RowsNotKept
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.moments import (
    COVARIANCE,
    FOURTH,
    MEAN,
    Moments,
    MomentStream,
)
from sycophancy_steering.labels.labelling import label_responses
from sycophancy_steering.power.study_questions import ModelQuestions
from sycophancy_steering.report.templates import render
from sycophancy_steering.report.vectors import kept_statistics_section
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS, MODELS, PROMPTS
from sycophancy_steering.storage.activation_statistics import read_moments, write_moments
from sycophancy_steering.storage.vector_files import read_variant_index
from sycophancy_steering.vectors.contrast import AnswerGroup, Contrast
from sycophancy_steering.vectors.labelled_activations import read_labelled_activations
from sycophancy_steering.vectors.labelled_statistics import NO_NAMES, read_labelled_statistics
from sycophancy_steering.vectors.methods import METHODS, exact_vector

KILLED = """
import json, os, random, shutil, signal, sys
from pathlib import Path

sys.path.insert(0, "tests"), sys.path.insert(0, "stages")
import test_activation_statistics as own
from sycophancy_steering.foundation import atomic_files

own.small_windows(setattr)
ends, draw = [], random.Random(0)
for moment in range(5):
    child = os.fork()
    if not child:
        countdown = [draw.randrange(3, 14)]

        def deadly(function):
            def counted(*arguments, **named):
                countdown[0] -= 1
                if countdown[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)
            return counted

        # Every file and folder is put in its place, and deleted, by one of these.
        atomic_files.os.replace, Path.rename = deadly(os.replace), deadly(Path.rename)
        shutil.rmtree, shutil.copyfile = deadly(shutil.rmtree), deadly(shutil.copyfile)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        own.log_batches(setattr, moment)
        own.extract_pairs()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    ends.append(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -1)
print(json.dumps(ends))
"""
SETS = ("pairs", "forced", "described")
N_QUESTIONS = 40
NATURAL = ["prompt", "continuation", "continuation_mean"]
VARIANTS = [
    {
        "method": ["mean_difference", "pca", "lda", "leace", "random"],
        "position": ["answer", *NATURAL],
    },
    {"method": ["mean_difference", "lda"], "position": "answer", "normalisation": "standard"},
    {"method": "pca", "position": ["answer", "prompt"], "normalisation": ["standard", "robust"]},
    {"method": "letter", "position": "answer"},
]


def edit(folder: Path, change) -> None:
    path = folder / "params.yaml"
    params = YAML(typ="safe").load(path)
    change(params)
    YAML().dump(params, path)


def set_up(folder: Path, keep: str, dtype: str = "float16") -> Path:
    """A study of a random-weight model before its first stage."""
    folder.mkdir(parents=True)
    for name in ("data/tables", "data/questions", "data/examples"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / "params.yaml").write_text(PARAMS)

    def change(params) -> None:
        kept = {"splits": ["extract"], "keep": keep, "moments": "fourth"}
        params["variants"] = VARIANTS
        params["prompting"]["methods"] = ["instruction"]
        params["activations"]["batch_tokens"] = 1500  # four questions
        params["prompt_sets"]["small"] = [*SETS, "held_out"]
        params["suite"]["small"]["extraction_sets"] = [*SETS]
        params["model"]["tiny"]["dtype"] = dtype
        params["prompt_set"]["pairs"] = {"sources": {"organism_opinions": N_QUESTIONS}, **kept}
        params["prompt_set"]["forced"] = {
            "sources": {"organism_misconceptions": 12}, "extract": "forced_answers", **kept,
        }  # fmt: skip
        params["prompt_set"]["described"] = {
            "sources": {"descriptions": 16}, "extract": "chats", **kept,
        }  # fmt: skip

    edit(folder, change)
    return folder


def loaded_model() -> StudiedModel:
    """The model of the current folder's study."""
    model_settings = read_section(ModelSettings, "model", "tiny")
    language_model = load_language_model(MODELS / "tiny", model_settings)
    activation_settings = read_section(ActivationSettings, "activations")
    workers = local_workers(language_model, activation_settings)
    return StudiedModel("tiny", workers, activation_settings, model_settings)


def small_windows(patch: Callable[[Any, str, Any], None]) -> None:
    """Folds eight questions at a time."""
    patch(extraction, "WINDOW", 8)
    patch(folding, "ROWS_PER_MATRIX_ROW", 0)


def log_batches(patch: Callable[[Any, str, Any], None], attempt: int) -> None:
    """Appends the questions of each batch that is run to a file."""
    extract = model_work.extract_batch

    def logged(language_model, prompts, settings):
        extracted = extract(language_model, prompts, settings)
        with open("batches.jsonl", "a") as file:
            file.write(json.dumps([attempt, [prompt.id for prompt in prompts]]) + "\n")
        return extracted

    patch(model_work, "extract_batch", logged)


def extract_pairs() -> None:
    """The stage `activations`, of one set."""
    extract_set("pairs", loaded_model())


def run_study(folder: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    """The stages from the questions to the vectors, of all extraction sets."""
    monkeypatch.chdir(folder)
    (folder / "data/models").mkdir()
    (folder / "data/models/tiny").symlink_to(model)
    loaded = loaded_model()
    for name in SETS:
        stage("prompts").sample_prompts(name)
        extract_set(name, loaded)
        label_responses("tiny", name, "logprob", required=False)
        stage("vectors").make_vectors("tiny", name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny("llama", seed=4).model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, model: Path) -> tuple[Path, Path]:
    """The same study with activations and with statistics of eight questions at a time."""
    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as monkeypatch:
        small_windows(monkeypatch.setattr)
        for keep in ("activations", "statistics"):
            run_study(set_up(folder / keep, keep), monkeypatch, model)
    return folder / "activations", folder / "statistics"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("prompt_set", SETS)
def test_every_vector_is_the_one_that_kept_activations_give(studies, prompt_set, monkeypatch):
    with_activations, with_statistics = studies
    monkeypatch.chdir(with_activations)
    paths = (ACTIVATIONS / "tiny" / prompt_set, LABELS / f"tiny/{prompt_set}.parquet")
    kept = read_labelled_activations(*paths, PROMPTS / f"{prompt_set}.parquet")
    variants = stage("vectors").read_variants()
    index = read_variant_index(Path("vectors/extracted/tiny") / prompt_set)
    expected = {
        (name, layer): exact_vector(
            variants[name].method,
            kept.contrast(variants[name], layer),
            variants[name].normalisation,
        )
        for name in index.variants
        for layer in range(3)
    }
    monkeypatch.chdir(with_statistics)
    folded = read_labelled_statistics(*paths)
    assert read_variant_index(Path("vectors/extracted/tiny") / prompt_set) == index
    natural = {name for name in index.variants if name.rpartition("_")[2] in ("prompt", "mean")}
    assert bool(natural) == (prompt_set != "forced") and len(index.variants) >= 9
    for (name, layer), vector in expected.items():
        variant = variants[name]
        assert kept.class_sizes(variant) == folded.class_sizes(variant)
        ours = exact_vector(variant.method, folded.contrast(variant, layer), variant.normalisation)
        assert np.abs(ours - vector).max() <= 1e-10 * np.linalg.norm(vector), name


def test_the_coordinates_that_are_far_larger_are_the_same(studies, monkeypatch):
    tables = []
    for folder in studies:
        monkeypatch.chdir(folder)
        study = ModelStudy("tiny", read_suite("tiny"))
        monkeypatch.setattr("sycophancy_steering.foundation.large_dimensions.LARGE_RATIO", 2)
        tables.append(large_dimensions_table(study, [*stage("vectors").read_variants().values()]))
    assert len(tables[0]) > 20
    assert_frame_equal(*tables, rel_tol=1e-10)


def test_analyses_leave_such_sets_out_and_the_report_says_so(studies, monkeypatch):
    monkeypatch.chdir(studies[1])
    study = ModelStudy("tiny", read_suite("tiny"))
    assert study.extractions == {} and study.sets_with_statistics == [*SETS]
    consistency = consistency_tables(study, [2])
    assert consistency.agreement.is_empty() and consistency.reliability.is_empty()
    settings = SampleEfficiencySettings(n_pairs=[2], n_resamples=2)
    assert sample_efficiency_table(study, [], settings).is_empty()
    assert {name: len(table) for name, table in shuffled_pairs_tables(study, 2, 1).items()} == {
        name: 0 for name in SETS
    }
    section = kept_statistics_section(study.suite.extraction_sets)
    assert section and "activations of pairs, forced, described only statistics" in render(section)
    assert list(ModelQuestions("tiny", study.suite).studies()) == []
    monkeypatch.chdir(studies[0])
    assert kept_statistics_section(study.suite.extraction_sets) is None


@pytest.fixture
def unfinished(studies, tmp_path, model) -> Path:
    """The study with statistics before its activations; nothing is cached."""
    folder = set_up(tmp_path / "study", "statistics")
    for name in ("data/prompts", "data/models"):
        shutil.copytree(studies[1] / name, folder / name, symlinks=True)
    return folder


def pairs_of(folder: Path) -> dict[str, bytes]:
    return files(folder / "data/activations/tiny/pairs")


def test_killed_at_any_moment_it_ends_with_the_same_bytes(studies, unfinished, monkeypatch):
    for name in ("tests", "stages"):
        (unfinished / name).symlink_to(ROOT / name)
    (unfinished / "killed.py").write_text(KILLED)
    environment = ["env", f"PYTHONPATH={ROOT}:{ROOT / 'tests'}"]
    done = run(unfinished, *environment, sys.executable, "killed.py")
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    assert ends.count(signal.SIGKILL) >= 4, ends
    monkeypatch.chdir(unfinished)
    small_windows(monkeypatch.setattr)
    log_batches(monkeypatch.setattr, len(ends))
    extract_pairs()
    assert pairs_of(unfinished) == pairs_of(studies[1])
    lines = (unfinished / "batches.jsonl").read_text().splitlines()
    batches = [json.loads(line) for line in lines]
    for attempt in range(len(ends)):
        *stored, _, _ = [[], [], *(ids for number, ids in batches if number == attempt)]
        again = {id for number, ids in batches if number > attempt for id in ids}
        # What a kill costs: a batch that was run, and the one before, which was on its way to disk.
        assert not again & {id for ids in stored for id in ids}, attempt
    # No activations are left: the statistics, and responses of folded windows.
    assert not [*(unfinished / ".work").rglob("activations.parquet")]


class LastFirst:
    """Workers of which the one with the last task is done first."""

    n_workers = 3

    def __init__(self, workers: Workers):
        self._workers, self.language_model = workers, workers.language_model
        self.batch_tokens = workers.batch_tokens

    def run(self, work: Work, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        for task in reversed([*tasks]):
            yield from self._workers.run(work, [task])


def test_neither_the_order_of_batches_nor_what_is_folded_at_once_changes_a_byte(
    studies, unfinished, monkeypatch
):
    monkeypatch.chdir(unfinished)
    monkeypatch.setattr(extraction, "WINDOW", 8)  # and all windows are folded at once
    loaded = loaded_model()
    extract_set("pairs", replace(loaded, workers=LastFirst(loaded.workers)))
    assert pairs_of(unfinished) == pairs_of(studies[1])


def test_what_another_machine_extracted_is_not_run_again(studies, unfinished, monkeypatch, capsys):
    monkeypatch.chdir(unfinished)
    small_windows(monkeypatch.setattr)
    pulled = {path.name: path for path in (studies[1] / "data/activations/tiny/pairs").iterdir()}
    monkeypatch.setattr(activations_run, "cached_output", lambda _: pulled)
    extract_set("pairs", loaded_model())
    assert f"none run, all {N_QUESTIONS} taken from .work" in capsys.readouterr().out
    assert pairs_of(unfinished) == pairs_of(studies[1])


def test_labels_that_no_group_has_are_refused_in_one_line(studies, tmp_path, monkeypatch):
    monkeypatch.chdir(studies[1])
    folder, labels = ACTIVATIONS / "tiny/pairs", LABELS / "tiny/pairs.parquet"
    other = tmp_path / "labels.parquet"
    graded = pl.col("label").shuffle(0).alias("label"), pl.lit("hand").alias("label_source")
    pl.read_parquet(labels).with_columns(*graded).write_parquet(other)
    with pytest.raises(InputError, match=r"hand labels answers differently that .* as one group"):
        read_labelled_statistics(folder, other)
    pl.read_parquet(labels).head(30).write_parquet(other)
    with pytest.raises(InputError, match="labels of other answers than the activations"):
        read_labelled_statistics(folder, other)
    with pytest.raises(InputError, match=r"set prompt_set\.pairs\.keep: activations"):
        read_labelled_activations(folder, labels, PROMPTS / "pairs.parquet")


MOMENTS = st.tuples(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.sampled_from([0.0, 1.0, 1e3, 1e6]),
    st.integers(0, 2**32 - 1),
)


@given(MOMENTS)
@settings(max_examples=60, deadline=None)
def test_merged_moments_are_those_of_all_rows(case):
    sizes, offset, seed = case
    rng = np.random.default_rng(seed)
    width = 5
    rows = rng.normal(size=(sum(sizes), width)) * rng.uniform(0.5, 2, width)
    rows += offset * rng.normal(size=width)
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    merged = Moments.of_rows(parts[0], FOURTH)
    for part in parts[1:]:
        merged = merged.merge(Moments.of_rows(part, FOURTH))
    centred = rows - rows.mean(0)
    assert merged.count == len(rows)
    np.testing.assert_allclose(merged.mean, rows.mean(0), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(merged.absolute_sum, np.abs(rows).sum(0), rtol=1e-13)
    # A mean of 10^6 leaves ten digits of a deviation of 1.
    tolerance = 1e-10 * max(1.0, offset / 1e3) * len(rows)
    for ours, power in (
        (merged.squares, (centred**2).sum(0)),
        (merged.scatter, centred.T @ centred),
        (merged.third, (centred**2).T @ centred),
        (merged.fourth, (centred**2).T @ centred**2),
    ):
        assert ours is not None
        np.testing.assert_allclose(ours, power, rtol=1e-10, atol=tolerance * 16)


@pytest.mark.parametrize("order", [MEAN, COVARIANCE, FOURTH])
def test_moments_have_what_their_order_says_on_disk_too(tmp_path, order):
    rows = np.random.default_rng(0).normal(size=(9, 3))
    moments = Moments.of_rows(rows[:4], order).merge(Moments.of_rows(rows[4:], order))
    write_moments(tmp_path / "moments", {"10-": moments})
    stored = read_moments(tmp_path / "moments")
    np.testing.assert_equal(asdict(stored["10-"]), asdict(moments))
    with pytest.raises(InputError, match="not readable statistics"):
        read_moments(tmp_path)
    assert (moments.scatter is not None) == (order >= COVARIANCE)
    assert (moments.fourth is not None) == (moments.third is not None) == (order >= FOURTH)


REFUSED = [
    (
        {"variants": [{"method": "probe", "position": "answer"}]},
        "variants: probe needs every activation of pairs (it is fitted in many passes), of which "
        "statistics are kept; leave it out, or set prompt_set.pairs.keep: activations",
    ),
    (
        {"variants": [{"method": "pca", "position": "answer", "n_pairs": 8}]},
        "variants: pca-8 needs every activation of pairs (some of them are sampled)",
    ),
    (
        {"variants": [{"method": "lda", "position": "answer"}]},
        "variants: lda needs more moments of pairs; expected prompt_set.pairs.moments: fourth, "
        "found covariance",
    ),
    (
        {"label": "flipped", "variants": [{"method": "pca", "position": "prompt"}]},
        "suite.small.label_source: the statistics of pairs are grouped by logprob, continuation",
    ),
    (
        {"keep": "held_out"},
        "suite.small.evaluation_set: held_out needs every activation; expected "
        "prompt_set.held_out.keep: activations, found statistics",
    ),
    (
        {"prompting": ["steering"]},
        "prompting.methods: steering needs the activations of single pairs of pairs",
    ),
]


@pytest.mark.parametrize(("change", "expected"), REFUSED)
def test_what_statistics_cannot_give_is_refused_before_anything_runs(tmp_path, change, expected):
    (tmp_path / "params.yaml").write_text(PARAMS)

    def apply(params) -> None:
        params["variants"] = change.get("variants", params["variants"])
        params["suite"]["small"]["label_source"] = change.get("label", "logprob")
        params["prompt_set"][change.get("keep", "pairs")]["keep"] = "statistics"
        params["prompting"]["methods"] = change.get("prompting", ["instruction"])
        grids = validated(list[VariantGrid], params["variants"], tmp_path, "variants")
        names = [variant.name for grid in grids for variant in grid.variants()]
        params["suite"]["small"]["headline"] = f"pairs/{names[0]}"
        params["suite"]["small"]["intervention_vectors"] = [f"pairs/{names[0]}"]
        params["interventions"]["compared_methods"] = []

    edit(tmp_path, apply)
    for check in (check_kept_statistics, read_params):
        with pytest.raises(InputError) as error:
            check(tmp_path / "params.yaml")
        assert expected in str(error.value) and "\n" not in str(error.value)


def test_every_method_that_is_not_refused_is_made_from_moments():
    """As is one that is added, if it uses no more than moments have."""
    assert {*NEEDS_ROWS, *NEEDED_MOMENTS} <= {*METHODS}
    groups = [MomentStream(Moments.of_rows(rows, FOURTH)) for rows in np.eye(12).reshape(2, 6, 12)]
    one, two = (
        AnswerGroup(stream, NO_NAMES, NO_NAMES, {name: (6, stream.mean)})
        for stream, name in zip(groups, "AB", strict=True)
    )
    rng = np.random.default_rng(0)
    contrast = Contrast(one, two, True, rng, pair_differences=groups[0])
    for name in METHODS.keys() - NEEDS_ROWS.keys():
        assert np.isfinite(METHODS[name](contrast)).all()
    with pytest.raises(RowsNotKept, match="needs every activation"):
        METHODS["median_difference"](contrast)
    means = MomentStream(Moments.of_rows(np.eye(12), MEAN))
    with pytest.raises(RowsNotKept, match="needs the covariance, and only means are kept"):
        METHODS["pca"](replace(contrast, pair_differences=means))
