"""params.yaml is held against what a stage expects before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.errors import InputError


@dataclass(frozen=True)
class Settings:
    size: int
    side: Literal["left", "right"]
    share: float = 0.5


GOOD = "models: [a, b]\nevaluation: held_out\nreading: {size: 3, side: left, share: 1}\n"


def test_a_section_becomes_its_dataclass(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    assert read_section(Settings, "reading", path=path) == Settings(3, "left", 1.0)
    assert read_names("models", path) == ["a", "b"]
    assert read_name("evaluation", path) == "held_out"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reading: {size: 3, side: left, sied: 1}", r"reading\.sied: unknown key; expected size"),
        ("reading: {side: left}", r"reading\.size: missing; expected a whole number"),
        ("reading: {size: 3.5, side: left}", r"reading\.size: expected a whole number, found 3\.5"),
        ("reading: {size: true, side: left}", r"reading\.size: expected a whole number, found T"),
        ("reading: {size: 3, side: up}", r"reading\.side: expected one of left, right, found 'up'"),
        ("reading: 3", r"reading: expected keys with values, found 3"),
        ("writing: {}", r"no reading; expected a section of that name"),
        ("reading: {size: [", r"not YAML"),
        ("- 1", r"expected sections, found"),
    ],
)
def test_what_is_not_expected_is_refused_by_its_key(tmp_path, text, expected):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=expected):
        read_section(Settings, "reading", path=path)


def test_numbers_are_read_as_dvc_reads_them(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("reading: {size: 3, side: left, share: 1e-3}")
    assert read_section(Settings, "reading", path=path).share == 0.001


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(InputError, match="not found; run this from the top of the repository"):
        read_names("models", tmp_path / "params.yaml")


def test_letters_in_another_encoding_are_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes("models: [café]\n".encode("latin-1"))
    with pytest.raises(InputError, match="not YAML"):
        read_names("models", path)


def test_what_was_read_is_read_anew_once_it_changes(tmp_path):
    path = tmp_path / "params.yaml"
    for names in (["a"], ["b", "c"]):
        path.write_text(f"models: [{', '.join(names)}]\n")
        assert read_names("models", path) == names
