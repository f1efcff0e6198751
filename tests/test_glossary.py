"""docs/glossary.md knows every key and column, and nothing else."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import sycophancy_steering.schemas as schemas
from sycophancy_steering.analysis.headline_metrics import HEADLINE
from sycophancy_steering.config.params import Params
from sycophancy_steering.schemas.table import Table

ROOT = Path(__file__).parent.parent
GENERAL = " (general)"
NAMED_BY_THE_USER = {
    *("models", "prompt_sets", "suite"),
    *("prompt_set", "source", "organism", "checkpoint", "model", "judge", "foreign_vectors"),
}
"""Sections whose keys are names that the user chooses."""


def glossary() -> dict[str, str]:
    """Meanings by term; general terms keep their mark."""
    lines = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    return {row[0]: row[1] for row in rows if row[0] not in ("term", "---")}


def terms() -> set[str]:
    return {term.removesuffix(GENERAL) for term in glossary()}


def setting_keys() -> set[str]:
    """The keys of params.yaml as its schema knows them."""
    schema = Params.model_json_schema()
    return {
        key for part in [schema, *schema["$defs"].values()] for key in part.get("properties", {})
    }


def columns() -> set[str]:
    """The columns of all tables; bounds of intervals under the name of their estimate."""
    tables = [
        value
        for module in pkgutil.iter_modules(schemas.__path__)
        for value in vars(importlib.import_module(f"{schemas.__name__}.{module.name}")).values()
        if isinstance(value, Table)
    ]
    assert len(tables) > 20
    names = {column for table in tables for column in table.columns}
    return {
        name.removesuffix("_low").removesuffix("_high").removeprefix("other_") for name in names
    }


def metric_keys() -> set[str]:
    """The keys of the metrics files, families as FAMILY."""
    *files, headline = (
        json.loads(path.read_text())
        for path in sorted(
            (ROOT / "reports/metrics").glob("*.json"), key=lambda path: path.name == HEADLINE
        )
    )
    behaviour = json.loads((ROOT / "reports/behaviour.json").read_text())
    families = {family for of_model in behaviour.values() for family in of_model}
    keys = {key for file in (*files, *headline.values()) for key in file}
    return {
        f"FAMILY_{suffix}" if stem in families else key
        for key in keys
        for stem, _, suffix in [key.rpartition("_")]
    }


def keys_of(section: Any, path: str = "") -> Iterator[str]:
    """All keys of a part of params.yaml, without names that the user chooses."""
    if isinstance(section, list):
        for entry in section:
            yield from keys_of(entry, path)
    if isinstance(section, dict):
        for key, value in section.items():
            if path not in NAMED_BY_THE_USER and not path.endswith("sources"):
                yield key
            yield from keys_of(value, f"{path}.{key}" if path else key)


def test_every_key_of_params_is_explained():
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    assert {*keys_of(params)} - terms() == set()
    assert setting_keys() - terms() == set()


def test_every_column_of_a_table_is_explained():
    assert columns() - terms() == set()


def test_every_metric_is_explained():
    assert metric_keys() - terms() == set()


def test_every_term_is_a_key_or_a_column_or_marked_as_general():
    known = setting_keys() | columns() | metric_keys()
    assert {term for term in glossary() if not term.endswith(GENERAL)} - known == set()


def test_every_term_has_a_meaning():
    assert [term for term, meaning in glossary().items() if not meaning] == []
