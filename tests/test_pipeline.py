"""The pipeline as DVC sees it: what each stage depends on, and what a change reruns."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
STAGES = {
    name: stage
    for file in ("dvc.yaml", "tuning/dvc.yaml")
    for name, stage in YAML(typ="safe").load(ROOT / file)["stages"].items()
}


def imports(script: Path) -> set[str]:
    """Every file of this project that running `script` imports, itself included."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if (name := str(path.relative_to(ROOT))) in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lib."):
                module = "stages." + (node.module or "")
                waiting.append(ROOT / (module.replace(".", "/") + ".py"))
    return found


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_stage_lists_exactly_the_modules_and_rooms_it_imports_from(stage):
    """A room of `lib` is listed as a folder: DVC reads and writes the whole lock around each stage,
    and a line a module for each of them would take a third of the study's time."""
    script = STAGES[stage]["cmd"].split()[1]
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/")}
    modules = {Path(file) for file in imports(ROOT / script)}
    rooms = {path.parent for path in modules if path.parent.parent == Path("stages/lib")}
    assert listed == {str(path.parent if path.parent in rooms else path) for path in modules}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The pipeline's own files, to be changed at will."""
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    Repo.init(str(tmp_path), no_scm=True).close()
    return tmp_path


def read_graph(folder: Path) -> tuple[nx.DiGraph, dict[str, dict[str, object]]]:
    """What depends on what (an edge from a stage to each that needs it), and each one's params."""
    with Repo(str(folder)) as repo:
        stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
        names = {stage: str(stage.name) for stage in stages}
        graph = nx.relabel_nodes(repo.index.graph, names).reverse()
        values = {
            name: {
                key: value
                for dep in stage.deps
                if isinstance(dep, ParamsDependency)
                for key, value in dep.read_params().items()
            }
            for stage, name in names.items()
        }
        return graph, values


def reruns_after_params(folder: Path, change: Callable[[dict], None]) -> set[str]:
    """The stages that `change` of params.yaml makes run: those it touches and all that follow."""
    _, before = read_graph(folder)
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    change(params)
    yaml.dump(params, folder / "params.yaml")
    graph, after = read_graph(folder)
    touched = {name for name, values in after.items() if before.get(name) != values}
    return touched.union(*(nx.descendants(graph, name) for name in touched))


def reruns_after_edit(folder: Path, file: str) -> set[str]:
    """The stages that a change of `file` makes run."""
    graph, _ = read_graph(folder)
    listed = {file, *map(str, Path(file).parents)}
    touched = {name for name in graph if listed & {*STAGES[name.partition("@")[0]]["deps"]}}
    return touched.union(*(nx.descendants(graph, name) for name in touched))


def kinds(stages: set[str]) -> set[str]:
    return {name.partition("@")[0] for name in stages}


DOWNSTREAM = {
    *("vectors", "predictivity", "chance", "transfer", "gain", "efficiency", "tokens"),
    *("consistency", "atlas", "selection", "controls", "pictures", "report"),
    *("steering", "prompting", "interventions"),
}
"""The stages that hang on vectors."""


def test_another_extraction_set_reruns_no_pass_over_the_evaluation_set(copy):
    def fewer_pairs(params):
        params["prompt_set"]["opinion_pairs"]["sources"]["opinions"] = 100

    rerun = reruns_after_params(copy, fewer_pairs)
    assert kinds(rerun) == DOWNSTREAM | {"prompts", "activations", "labels"}
    assert {name for name in rerun if "held_out" in name} == set()
    assert {name for name in rerun if name.startswith(("prompts", "activations"))} == {
        "prompts@opinion_pairs",
        "activations@one_cause-opinion_pairs",
        "activations@two_causes-opinion_pairs",
        "activations@two_tenses-opinion_pairs",
    }


def test_one_more_way_of_making_vectors_reads_no_answer_again(copy):
    def one_more(params):
        params["variants"].append({"method": "pca", "position": "prompt"})

    assert kinds(reruns_after_params(copy, one_more)) == DOWNSTREAM


def test_another_way_of_labelling_reruns_no_model(copy):
    def by_likelihood(params):
        params["labels"]["told_by"] = "logprob"

    rerun = kinds(reruns_after_params(copy, by_likelihood))
    assert rerun >= {"labels", "predictivity", "report"}
    assert rerun & {"organism", "prompts", "activations"} == set()


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_preset_is_a_whole_study(copy, preset):
    (copy / "params.yaml").write_bytes(preset.read_bytes())
    graph, _ = read_graph(copy)
    assert kinds(set(graph)) >= {"checkpoint", "prompts", "activations", "labels", "report"}
    default = YAML(typ="safe").load(ROOT / "params.yaml")
    params = YAML(typ="safe").load(preset)
    assert set(params) == set(default)
    extraction, _, _ = params["headline"].partition("/")
    assert extraction in params["extractions"]
    assert set(params["models"]) <= set(params["model"])
    for wanted in params["prompt_set"].values():
        assert set(wanted["sources"]) <= set(params["source"])


def test_a_plot_helper_reruns_no_stage_that_runs_a_model(copy):
    assert kinds(reruns_after_edit(copy, "sycophancy_steering/figures/predictivity.py")) == {
        "pictures"
    }


def test_the_lock_holds_the_stages_that_there_are_and_no_other():
    """DVC leaves entries of stages that are gone, and reads all of them before each stage."""
    graph, _ = read_graph(ROOT)
    locks = (YAML(typ="safe").load(ROOT / f) for f in ("dvc.lock", "tuning/dvc.lock"))
    assert {name for lock in locks for name in lock["stages"]} == set(graph)


def test_only_stages_that_run_a_model_import_torch_at_their_start():
    heavy = {
        stage
        for stage in STAGES
        for path in imports(ROOT / STAGES[stage]["cmd"].split()[1])
        if re.search(r"^(import|from) torch", (ROOT / path).read_text(), re.MULTILINE)
    }
    study = {"organism", "checkpoint", "activations", "steering", "prompting"}
    assert heavy == study | {"tune", "baselines", "differences"}
