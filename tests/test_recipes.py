"""`variants` of params.yaml, spelled out."""

from __future__ import annotations

import pytest

from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.vectors.variants import read_recipes


@pytest.fixture
def variants(tmp_path, monkeypatch):
    """Writes params.yaml with these variants and reads the recipes."""
    monkeypatch.chdir(tmp_path)

    def read(text: str):
        (tmp_path / "params.yaml").write_text(f"variants: {text}\n")
        return read_recipes()

    return read


def test_a_grid_is_all_its_products_by_names_that_say_what_differs(variants):
    found = variants("[{method: [pca, lda], position: [answer, prompt], pairs: [all, 16]}]")
    assert list(found) == [
        "pca",
        "pca-16",
        "pca_prompt",
        "pca_prompt-16",
        "lda",
        "lda-16",
        "lda_prompt",
        "lda_prompt-16",
    ]
    assert found["lda_prompt-16"].pairs == 16
    found = variants("[{method: pca, position: answer, seed: [0, 3], normalisation: [none, unit]}]")
    assert list(found) == ["pca", "pca-unit", "pca-seed3", "pca-seed3-unit"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "variants: expected a list of recipes"),
        ("[pca]", r"variants\[0\]: expected method and position, found 'pca'"),
        ("[{method: pca}]", r"variants\[0\].position: missing"),
        ("[{method: pca, position: start}]", r"position: expected one of answer, prompt"),
        ("[{method: pca, position: answer, normalisation: z}]", "normalisation: expected one of"),
        ("[{method: nope, position: answer}]", "'nope' is no method"),
    ],
)
def test_what_is_no_recipe_is_refused(variants, text, expected):
    with pytest.raises(InputError, match=expected):
        variants(text)
