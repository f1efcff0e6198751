"""The stages of dvc.yaml as a diagram in Mermaid, which GitHub draws."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
from ruamel.yaml import YAML


def read_stages(path: Path) -> dict[str, dict[str, Any]]:
    """The stages of a `dvc.yaml` by name."""
    return YAML(typ="safe").load(path)["stages"]


def stage_graph(stages: Mapping[str, Mapping[str, Any]]) -> nx.DiGraph:
    """Which stage reads what which other stage writes, without edges that follow from others."""
    outputs = {name: _paths(stage, "outs", "metrics", "plots") for name, stage in stages.items()}
    graph = nx.DiGraph()
    graph.add_nodes_from(stages)
    graph.add_edges_from(
        (writer, reader)
        for reader, stage in stages.items()
        for writer, written in outputs.items()
        if writer != reader
        and any(_overlap(dep, out) for dep in _paths(stage, "deps") for out in written)
    )
    return nx.transitive_reduction(graph)


def diagram(path: Path) -> str:
    """The stages of a `dvc.yaml` in Mermaid, each with its `desc`."""
    stages = read_stages(path)
    labels = (
        f'    {name}["<b>{name}</b>{"<br>" + stage["desc"] if "desc" in stage else ""}"]'
        for name, stage in stages.items()
    )
    graph = stage_graph(stages)
    writers: dict[tuple[str, ...], list[str]] = {}
    for writer in stages:
        readers = tuple(reader for reader in stages if graph.has_edge(writer, reader))
        writers.setdefault(readers, []).append(writer)
    arrows = (
        f"    {' & '.join(writing)} --> {' & '.join(readers)}"
        for readers, writing in writers.items()
        if readers
    )
    return "\n".join(["```mermaid", "flowchart TD", *labels, *arrows, "```"])


def _paths(stage: Mapping[str, Any], *keys: str) -> list[str]:
    """The paths under these keys, cut off where a name of a matrix is put in."""
    entries: Sequence[Any] = [entry for key in keys for entry in stage.get(key, [])]
    paths = [next(iter(entry)) if isinstance(entry, Mapping) else entry for entry in entries]
    return [re.split(r"/?\$\{", path)[0] for path in paths]


def _overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or lies in it."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
