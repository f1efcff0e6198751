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


PACKAGE = "sycophancy_steering"
SLOW = "organism"
"""Training takes an hour: this stage lists single modules of folders that others use too."""
OF_SLOW = "organisms"
"""The folder that `SLOW` lists whole."""


def imported_files(script: str) -> set[str]:
    """Every file of this project that running `script` imports, itself included."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
                path = (node.module or "").replace(".", "/")
                if (ROOT / path).is_dir():
                    waiting += [
                        f"{path}/{alias.name}.py"
                        for alias in node.names
                        if (ROOT / path / f"{alias.name}.py").exists()
                    ]
                else:
                    waiting.append(f"{path}.py")
    return found


def code_dependencies(stage: str) -> set[str]:
    """What `stage` has to list: its script, and the modules and folders that it imports from."""
    script = STAGES[stage]["cmd"].split()[1]
    modules = imported_files(script) - {script}
    by_module = {file for file in modules if stage == SLOW and file.split("/")[1] != OF_SLOW}
    folders = {str(Path(file).parent) for file in modules - by_module}
    return {script} | by_module | folders


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_stage_lists_exactly_the_code_it_imports(stage):
    listed = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("stages/", PACKAGE))]
    assert sorted(listed) == sorted(code_dependencies(stage))


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


AFTER_VECTORS = {
    *("predictivity", "power", "analysis", "interventions", "intervention_tables"),
    *("controls", "figures", "report"),
}
"""The stages that depend on vectors."""


def test_another_extraction_set_reruns_what_is_downstream_of_prompts(copy):
    def fewer_pairs(params):
        params["prompt_set"]["opinion_pairs"]["sources"]["organism_opinions"] = 100

    rerun = kinds(reruns_after_params(copy, fewer_pairs))
    assert rerun == AFTER_VECTORS | {"prompts", "activations", "labels", "vectors"}


def test_one_more_variant_reads_no_label_or_activation_again(copy):
    def one_more(params):
        params["variants"].append({"method": "pca", "position": "prompt"})

    assert kinds(reruns_after_params(copy, one_more)) == AFTER_VECTORS | {"vectors"}


def test_another_source_of_labels_reruns_no_activations(copy):
    def by_likelihood(params):
        params["suite"]["organism_language"]["label_source"] = "logprob"

    rerun = kinds(reruns_after_params(copy, by_likelihood))
    assert rerun >= {"labels", "predictivity", "report"}
    assert rerun & {"organism", "prompts", "activations"} == set()


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_preset_is_a_whole_study(copy, preset):
    (copy / "params.yaml").write_bytes(preset.read_bytes())
    graph, _ = read_graph(copy)
    assert kinds(set(graph)) >= {"checkpoint", "prompts", "activations", "labels", "report"}


def test_an_edit_of_a_figure_reruns_figures_alone(copy):
    assert kinds(reruns_after_edit(copy, f"{PACKAGE}/figures/predictivity.py")) == {"figures"}


def test_an_edit_of_a_statistic_reruns_no_model_pass(copy):
    rerun = kinds(reruns_after_edit(copy, f"{PACKAGE}/statistics/auroc.py"))
    assert "predictivity" in rerun
    assert rerun & {"organism", "checkpoint", "prompts", "activations"} == set()


def test_the_lock_stays_short(copy):
    """DVC reads and writes all of it around each stage."""
    assert len((ROOT / "dvc.lock").read_text().splitlines()) <= 2000


def test_the_lock_holds_the_stages_that_there_are_and_no_other():
    """DVC leaves entries of stages that are gone, and reads all of them before each stage."""
    graph, _ = read_graph(ROOT)
    locks = (YAML(typ="safe").load(ROOT / f) for f in ("dvc.lock", "tuning/dvc.lock"))
    assert {name for lock in locks for name in lock["stages"]} == set(graph)


def test_only_stages_that_run_a_model_import_torch_at_their_start():
    heavy = {
        stage
        for stage in STAGES
        for path in imported_files(STAGES[stage]["cmd"].split()[1])
        if re.search(r"^(import|from) torch", (ROOT / path).read_text(), re.MULTILINE)
    }
    study = {"organism", "checkpoint", "activations", "interventions"}
    assert heavy == study | {"tune", "baselines", "differences"}
