"""Keys of cached results: every input, every module, every library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sycophancy_steering.storage import result_cache
from sycophancy_steering.storage.result_cache import (
    DISTRIBUTIONS,
    PACKAGE,
    code_and_libraries,
    digest,
    import_closure,
)

VECTORS = "vectors.extraction"
ACTIVATIONS = "engine.forward", "activations.prompts", "activations.reference_logprobs"
FOREIGN_NAMES = {name: module for module, name in DISTRIBUTIONS.items()}


def libraries_of(*modules: str) -> set[str]:
    return import_closure(*modules)[1]


def test_vectors_depend_on_every_library_that_makes_them():
    needed = {"numpy", "scipy", "polars", "pyarrow", "torch", "concept-erasure", "scikit-learn"}
    assert needed <= libraries_of(VECTORS)


def test_activations_depend_on_the_tokenizer_and_the_model_but_not_on_scikit_learn():
    libraries = libraries_of(*ACTIVATIONS)
    assert {"torch", "transformers", "numpy"} <= libraries
    assert "scikit-learn" not in libraries
    assert "concept-erasure" not in libraries


def test_every_library_in_a_key_has_a_version():
    texts = [part for part in code_and_libraries(VECTORS) if isinstance(part, str)]
    assert all(len(text.split()) == 2 and text.split()[1][0].isdigit() for text in texts)


def test_the_closure_has_every_module_that_an_import_loads():
    sources, libraries = import_closure("storage.vector_files")
    program = (
        "import sys; before = set(sys.modules); import sycophancy_steering.storage.vector_files; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    own = [name for name in done.stdout.split() if name.startswith(PACKAGE.name + ".")]
    files = {sys.modules[name].__file__ for name in own if name in sys.modules}
    folders = ("config", "foundation", "schemas", "storage")
    inits = {str(PACKAGE / folder / "__init__.py") for folder in folders}  # a docstring each
    assert {str(path) for path in sources} >= files - inits
    assert {FOREIGN_NAMES.get(name, name) for name in libraries} <= set(done.stdout.split())


def test_a_module_imported_from_its_folder_is_part_of_the_closure(tmp_path, monkeypatch):
    package = tmp_path / PACKAGE.name
    (package / "folder").mkdir(parents=True)
    (package / "folder/__init__.py").write_text("")
    (package / "folder/one.py").write_text(f"from {PACKAGE.name}.folder import two\n")
    (package / "folder/two.py").write_text("def f():\n    import numpy.linalg\n")
    monkeypatch.setattr(result_cache, "PACKAGE", package)
    sources, libraries = import_closure("folder.one")
    assert {path.name for path in sources} == {"one.py", "two.py"}
    assert libraries == {"numpy"}


def test_ignored_folders_are_left_out_with_what_only_they_import():
    sources, libraries = import_closure(VECTORS, ignored=("config",))
    assert "pydantic" in libraries_of(VECTORS) - libraries
    assert not any(path.is_relative_to(PACKAGE / "config") for path in sources)
    assert PACKAGE / "vectors/methods.py" in sources


@pytest.mark.parametrize("change", ["name", "content", "library"])
def test_a_digest_changes_with_every_part(tmp_path, change):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("1")
    before = digest([folder, "numpy 1"])
    assert digest([folder, "numpy 1"]) == before
    if change == "content":
        (folder / "a").write_text("2")
    if change == "name":
        (folder / "b").write_text("")
    after = digest([folder, "numpy 2" if change == "library" else "numpy 1"])
    assert after != before
