"""Names that the project once had for things that the field has words for do not come back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_glossary import columns, setting_keys

ROOT = Path(__file__).parent.parent
RIDDLES = {
    "told_by", "midranks", "dealt", "deals", "deal", "studied", "Beneath", "Look", "See",
    "Said", "Place", "Material", "Refusal", "LabelNoise", "Flips", "asked_again", "few_pairs",
    "reading_run", "model_pass", "item_sums", "item_pulls", "text_odds", "recipe", "recipes",
    "made_at", "pulls", "doses", "dose", "natural_gap", "tenses", "foretold", "foretells", "spoken",
    "unread", "beneath", "read_again", "by_way", "departure", "afterwards", "just_did",
    "about_to", "keep_every", "distil", "afresh", "anew", "telling",
}  # fmt: skip
"""Names in their old sense: the field has another word, or none was needed."""
OLD_KEYS = RIDDLES | {"studies", "turned", "draws", "gain", "least", "most", "spread", "chosen"}
"""Words that are plain English in code, but were keys and columns in another sense."""
UNSPECIFIC = {"found", "held", "kept", "each", "told", "said", "given", "ways", "way", "reach"}
"""Names that do not say what a variable holds."""


def names_bound(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that a module defines: variables, parameters, functions, classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno


def uses(forbidden: set[str], *folders: str) -> list[str]:
    """`path:line name` of every forbidden name that a module of the folders binds."""
    return [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name, line in names_bound(ast.parse(path.read_text(encoding="utf-8")))
        if name in forbidden
    ]


def test_the_check_sees_names_wherever_they_are_bound():
    code = "def held(each):\n    for told in each:\n        said = [found for found in told]\n"
    assert {name for name, _ in names_bound(ast.parse(code))} == {
        "held", "each", "told", "said", "found",
    }  # fmt: skip


@pytest.mark.parametrize("folder", ["sycophancy_steering", "stages", "benchmarks", "tests"])
def test_no_riddle_names_anything(folder):
    assert uses(RIDDLES, folder) == []


@pytest.mark.parametrize("folder", ["sycophancy_steering", "stages"])
def test_variables_say_what_they_hold(folder):
    assert uses(UNSPECIFIC, folder) == []


def test_no_riddle_names_a_module():
    paths = [*ROOT.glob("sycophancy_steering/**/*.py"), *ROOT.glob("stages/*.py")]
    assert [path.name for path in paths if path.stem in RIDDLES | UNSPECIFIC] == []


def test_no_riddle_names_a_setting_or_a_column():
    assert (setting_keys() | columns()) & (OLD_KEYS | UNSPECIFIC) == set()
