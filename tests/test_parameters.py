"""params.yaml is validated before a stage computes anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from conftest import PARAMS
from pydantic.dataclasses import dataclass

from sycophancy_steering.config import write_schema
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.params import Params, read_params
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.config.section import SECTION, Integer
from sycophancy_steering.foundation.errors import InputError

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))]


@dataclass(frozen=True, config=SECTION)
class Settings:
    size: Integer
    side: Literal["left", "right"]
    share: float = 0.5


@pytest.fixture
def params(tmp_path):
    """Writes a params.yaml and returns its path."""

    def write(content: str) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(content)
        return path

    return write


def test_a_section_becomes_its_settings(params):
    path = params("models: [a, b]\nevaluation_set: c\nsection: {size: 3, side: left, share: 1}\n")
    assert read_section(Settings, "section", path=path) == Settings(3, "left", 1.0)
    assert read_names("models", path) == ["a", "b"]
    assert read_name("evaluation_set", path) == "c"


def test_only_the_section_that_is_read_is_validated(params):
    path = params("section: {size: 3, side: left}\nother: {size: wrong}\n")
    assert read_section(Settings, "section", path=path).size == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "section: {size: 3, sides: left}",
            "section.sides: unknown key; expected size, side, share (did you mean side?)",
        ),
        ("section: {side: left}", "section.size: missing; expected a whole number"),
        ("section: {size: 3.5, side: up}", "section.size: expected a whole number, found 3.5"),
        ("section: {size: true, side: left}", "section.size: expected a whole number, found True"),
        (
            "section: {size: 3, side: up}",
            "section.side: expected one of left, right, found 'up'",
        ),
        ("section: 3", "section: expected keys with values, found 3"),
        ("sections: {}", "no section; expected an entry of that name"),
    ],
)
def test_an_error_is_one_line_with_file_key_and_what_was_expected(params, text, expected):
    path = params(text)
    with pytest.raises(InputError) as error:
        read_section(Settings, "section", path=path)
    assert str(error.value) == f"{path}: {expected}"


def test_a_missing_entry_lists_the_entries_that_exist(params):
    with pytest.raises(InputError, match=r"no section\.b; expected .* of that name; found a, c"):
        read_section(Settings, "section", "b", path=params("section: {a: {}, c: {}}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("section: {size: [", "not YAML"),
        ("- 1", "expected sections, found list"),
        ("", "expected sections, found NoneType"),
    ],
)
def test_a_file_without_sections_is_an_error(params, text, expected):
    with pytest.raises(InputError, match=expected):
        read_section(Settings, "section", path=params(text))


def test_numbers_are_read_as_dvc_reads_them(params):
    path = params("section: {size: 3, side: left, share: 1e-3}")
    assert read_section(Settings, "section", path=path).share == 0.001


def test_a_missing_file_is_an_error_that_says_where_to_run(tmp_path):
    with pytest.raises(InputError, match="not found; run this from the top of the repository"):
        read_names("models", tmp_path / "params.yaml")


def test_a_file_in_another_encoding_is_an_error(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes("models: [café]\n".encode("latin-1"))
    with pytest.raises(InputError, match="not YAML"):
        read_names("models", path)


def test_a_changed_file_is_parsed_again(params):
    for names in (["a"], ["b", "c"]):
        assert read_names("models", params(f"models: [{', '.join(names)}]\n")) == names


@pytest.mark.parametrize("empty", [True, False])
def test_names_are_distinct_and_only_some_lists_may_be_empty(params, empty):
    with pytest.raises(InputError, match="models: expected each entry once, found 'a' twice"):
        read_names("models", params("models: [a, b, a]"), empty)
    path = params("models: []")
    if empty:
        assert read_names("models", path, empty) == []
    else:
        with pytest.raises(InputError, match=r"models: expected at least one entry, found \[\]"):
            read_names("models", path, empty)


def test_no_continuation_tokens_need_be_stored(params):
    path = params("section: {max_new_tokens: 4, stop_at: turn, continuation_tokens: []}")
    assert read_section(ActivationSettings, "section", path=path).continuation_tokens == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_params_and_presets_are_valid_and_name_their_schema(path):
    assert isinstance(read_params(path), Params)
    first = path.read_text().splitlines()[0]
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    assert schema.resolve() == ROOT / write_schema.SCHEMA


def test_the_schema_is_that_of_the_models_and_describes_every_key():
    assert (ROOT / write_schema.SCHEMA).read_text() == write_schema.schema(), (
        "run python -m sycophancy_steering.config.write_schema"
    )
    schema = Params.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, part in section["properties"].items():
            assert {"description", "$ref"} & {*part} or name == "kind", f"{section['title']}.{name}"


def test_a_file_is_checked_by_a_command(params):
    command = [sys.executable, "-m", "sycophancy_steering.config.check"]
    path = params(PARAMS)
    good = subprocess.run([*command, path], capture_output=True, text=True)
    assert good.stdout == f"{path}: valid\n"
    bad = subprocess.run([*command, params("models: []")], capture_output=True, text=True)
    assert bad.returncode == 1
    assert bad.stderr.startswith(f"error: {path}: ")


def test_reading_params_imports_no_torch():
    code = "import sys, sycophancy_steering.config.params; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
