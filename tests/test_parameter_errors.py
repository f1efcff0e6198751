"""Every bad value of params.yaml is an error at its own key, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import PARAMS
from ruamel.yaml import YAML

from sycophancy_steering.config.params import read_params
from sycophancy_steering.foundation.errors import InputError


@pytest.fixture
def params(tmp_path):
    """Writes a params.yaml and returns its path."""

    def write(content: dict[str, Any]) -> Path:
        path = tmp_path / "params.yaml"
        YAML().dump(content, path)
        return path

    return write


HUB = {"kind": "hub", "name": "a/b", "revision": "0" * 40}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # ranges
        ("split.extract", 1.5, "split.extract: expected less than 1, found 1.5"),
        ("split.extract", float("nan"), "split.extract: expected a finite number, found nan"),
        (
            "split.extract",
            0.5,
            "split: expected shares of extract, select and test that add up to 1, found 1.1",
        ),
        (
            "prompt_set.pairs.sources",
            {"opinions": -5},
            "prompt_set.pairs.sources.opinions: expected at least 1, found -5",
        ),
        (
            "selection.n_permutations",
            18,
            "selection.n_permutations: expected at least 19, found 18",
        ),
        (
            "activations.continuation_tokens",
            [2, 1],
            "activations.continuation_tokens: expected ascending numbers from 1, each once, found "
            "[2, 1]",
        ),
        (
            "interventions.coefficients",
            [1, 2],
            "interventions.coefficients: expected -1 and 1 among them, found [1.0, 2.0]",
        ),
        (
            "interventions.n_random",
            0,
            "interventions.n_random: expected at least 1, found 0",
        ),
        (
            "suite.small.intervention_vectors",
            [],
            "suite.small.intervention_vectors: expected at least one entry, found []",
        ),
        ("tuning.learning_rate", "1e-3", "tuning.learning_rate: expected a number, found '1e-3'"),
        (
            "organism.x",
            {"n_causes": True, "seed": 0, "steps": 1},
            "organism.x.n_causes: expected a whole number, found True",
        ),
        # unions: the branch that fits best
        (
            "activations.batch_tokens",
            0,
            "activations.batch_tokens: expected at least 1, found 0",
        ),
        (
            "activations.batch_tokens",
            "aut",
            "activations.batch_tokens: expected a whole number or auto, found 'aut'",
        ),
        (
            "checkpoint.x",
            {**HUB, "revision": "main"},
            "checkpoint.x.revision: expected text of the form [0-9a-f]{40}, found 'main'",
        ),
        (
            "checkpoint.x",
            {"kind": "hub", "name": "a/b"},
            "checkpoint.x.revision: missing; expected text",
        ),
        (
            "checkpoint.x",
            {**HUB, "kind": "folder"},
            "checkpoint.x.revision: unknown key; expected kind, name",
        ),
        (
            "checkpoint.x",
            {**HUB, "kind": "hubb"},
            "checkpoint.x.kind: expected one of hub, folder, package, packages, gguf, random, "
            "found 'hubb'",
        ),
        (
            "checkpoint.x",
            {"name": "a"},
            "checkpoint.x.kind: missing; expected one of folder, gguf, hub, package, packages, "
            "random",
        ),
        ("checkpoint.x", "hub", "checkpoint.x: expected keys with values, found 'hub'"),
        # names that refer to entries
        ("models", {"x": "small"}, "models[0]: expected an entry of model: tiny; found 'x'"),
        ("models", {"tiny": "x"}, "models.tiny: expected an entry of suite: small; found 'x'"),
        (
            "checkpoints",
            ["x"],
            "checkpoints[0]: expected an entry of checkpoint, which is empty; found 'x'",
        ),
        (
            "suite.small.extraction_sets",
            ["pairs", "public"],
            "suite.small.extraction_sets[1]: expected an entry of prompt_sets: pairs, held_out; "
            "found 'public'",
        ),
        (
            "suite.small.evaluation_set",
            "x",
            "suite.small.evaluation_set: expected an entry of prompt_sets: pairs, held_out; found "
            "'x'",
        ),
        (
            "suite.small.headline",
            "held_out/mean_difference",
            "suite.small.headline: expected an entry of extraction_sets: pairs; found 'held_out'",
        ),
        (
            "suite.small.headline",
            "pairs/pca",
            "suite.small.headline: expected an entry of variants (after SET/): mean_difference, "
            "random; found 'pca'",
        ),
        (
            "suite.small.intervention_vectors",
            ["pairs/mean_difference", "x/random"],
            "suite.small.intervention_vectors[1]: expected an entry of extraction_sets: pairs; "
            "found 'x'",
        ),
        (
            "interventions.compared_methods",
            ["pca"],
            "interventions.compared_methods[0]: expected an entry of variants: mean_difference, "
            "random; found 'pca'",
        ),
        (
            "cross_model",
            [{"vectors_from": "tiny", "evaluated_in": "x"}],
            "cross_model[0].evaluated_in: expected an entry of models: tiny; found 'x'",
        ),
        (
            "tuning.models",
            ["x"],
            "tuning.models[0]: expected an entry of model: tiny; found 'x'",
        ),
        (
            "tuning.weak_labeller.model",
            "x",
            "tuning.weak_labeller.model: expected an entry of model: tiny; found 'x'",
        ),
        (
            "judge",
            {"own": {"kind": "model", "model": "x"}},
            "judge.own.model: expected an entry of model: tiny; found 'x'",
        ),
    ],
)
def test_each_bad_value_is_an_error_at_its_own_key(params, key, value, expected):
    content = YAML(typ="safe").load(PARAMS)
    *sections, last = key.split(".")
    section = content
    for name in sections:
        section = section[name]
    section[last] = value
    path = params(content)
    with pytest.raises(InputError) as error:
        read_params(path)
    assert str(error.value) == f"{path}: {expected}"


def every_key(content: dict[str, Any], place: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    keys = []
    for name, value in content.items():
        keys.append((*place, name))
        keys += every_key(value, (*place, name)) if isinstance(value, dict) else []
    return keys


@pytest.mark.parametrize("key", every_key(YAML(typ="safe").load(PARAMS)), ids=".".join)
def test_a_value_of_the_wrong_type_is_an_error_at_its_own_key_wherever_it_stands(params, key):
    content = YAML(typ="safe").load(PARAMS)
    section = content
    for name in key[:-1]:
        section = section[name]
    section[key[-1]] = {"no": "such value"}
    with pytest.raises(InputError) as error:
        read_params(params(content))
    _, place, message = str(error.value).split(": ", 2)
    assert place.startswith(".".join(key))
    assert "expected" in message and "\n" not in message
