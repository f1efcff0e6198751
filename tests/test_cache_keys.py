"""What cached activations depend on: the code and libraries that compute them, and no others."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from sycophancy_steering.activations import cache_keys
from sycophancy_steering.storage import result_cache
from sycophancy_steering.storage.result_cache import PACKAGE, digest, import_closure


def computed() -> tuple[set[str], set[str]]:
    """Folders of this package, and libraries, that activations depend on."""
    sources, libraries = import_closure(*cache_keys.COMPUTED_BY, ignored=cache_keys.SETTINGS_ONLY)
    return {path.relative_to(PACKAGE).parts[0] for path in sources}, libraries


def test_activations_depend_on_the_engine_and_on_how_questions_become_prompts():
    folders, _ = computed()
    assert folders == {"engine", "activations", "questions", "foundation"}


def test_the_libraries_of_the_key_are_those_that_the_code_imports_and_tokenizers():
    named = [part for part in cache_keys.computing_code() if isinstance(part, str)]
    libraries = computed()[1] | {"tokenizers"}
    assert sorted(named) == sorted(f"{name} {version(name)}" for name in libraries)
    assert libraries == {
        "gguf",
        "jinja2",
        "numpy",
        "peft",
        "tokenizers",
        "torch",
        "tqdm",
        "transformers",
    }


@pytest.mark.parametrize(
    ("library", "changes"),
    [("torch", True), ("transformers", True), ("tokenizers", True), ("scikit-learn", False)],
)
def test_an_upgrade_reruns_a_model_only_where_it_can_change_activations(
    monkeypatch, library, changes
):
    before = digest(cache_keys.computing_code())

    def upgraded(name: str) -> str:
        return "999" if name == library else version(name)

    monkeypatch.setattr(result_cache, "version", upgraded)
    monkeypatch.setattr(cache_keys, "version", upgraded)
    cache_keys.computing_code.cache_clear()
    try:
        assert (digest(cache_keys.computing_code()) != before) == changes
    finally:
        cache_keys.computing_code.cache_clear()
