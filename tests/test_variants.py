"""`variants` of params.yaml, as single variants."""

from __future__ import annotations

import pytest

from sycophancy_steering.config.variants import Variant
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.vectors.variants import read_variants


@pytest.fixture
def variants(tmp_path, monkeypatch):
    """Writes params.yaml with these variants and reads them."""
    monkeypatch.chdir(tmp_path)

    def read(text: str) -> dict[str, Variant]:
        (tmp_path / "params.yaml").write_text(f"variants: {text}\n")
        return read_variants()

    return read


def test_an_entry_stands_for_every_combination_of_its_lists(variants):
    grid = variants("[{method: [pca, lda], position: [answer, prompt], n_pairs: [all, 16]}]")
    assert list(grid) == [
        "pca",
        "pca-16",
        "pca_prompt",
        "pca_prompt-16",
        "lda",
        "lda-16",
        "lda_prompt",
        "lda_prompt-16",
    ]
    assert grid["lda_prompt-16"] == Variant("lda", "prompt", 16)


def test_a_name_has_every_setting_that_is_not_the_default(variants):
    grid = variants("[{method: pca, position: answer, seed: [0, 3], normalisation: [none, unit]}]")
    assert list(grid) == ["pca", "pca-unit", "pca-seed3", "pca-seed3-unit"]


def test_answers_are_compared_within_items_on_request(variants):
    grid = variants("[{method: pca, position: prompt, compared: [all, within_items]}]")
    assert list(grid) == ["pca_prompt", "pca_prompt-within_items"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "variants: expected at least one entry, found none"),
        ("[pca]", r"variants\[0\]: expected keys with values, found 'pca'"),
        ("[{method: pca}]", r"variants\[0\]\.position: missing; expected one of answer, prompt"),
        (
            "[{method: pca, position: start}]",
            r"variants\[0\]\.position: expected one of answer, prompt, .*, found 'start'",
        ),
        (
            "[{method: pca, position: answer, pairs: 4}]",
            r"variants\[0\]\.pairs: unknown key; expected .* \(did you mean n_pairs\?\)",
        ),
        (
            "[{method: pca, position: answer, n_pairs: [4, 1]}]",
            r"variants\[0\]\.n_pairs\[1\]: expected at least 2, found 1",
        ),
        (
            "[{method: pca, position: answer, n_pairs: most}]",
            r"variants\[0\]\.n_pairs: expected a whole number or all, found 'most'",
        ),
        (
            "[{method: pca, position: answer, normalisation: z}]",
            r"variants\[0\]\.normalisation: expected one of none, unit, standard",
        ),
        (
            "[{method: [pca, nope], position: answer}]",
            r"variants\[0\]\.method: unknown method 'nope'; expected one of mean_difference",
        ),
        (
            "[{method: pca, position: answer}, {method: ccs, position: prompt}]",
            r"variants\[1\]\.position: ccs needs contrast pairs; expected answer",
        ),
        (
            "[{method: pca, position: [prompt, answer], compared: within_items}]",
            r"variants\[0\]\.compared: within_items is for the model's own answers",
        ),
        (
            "[{method: pca, position: answer}, {method: [lda, pca], position: answer}]",
            r"variants\[1\]: pca a second time",
        ),
    ],
)
def test_an_error_has_the_index_of_its_entry(variants, text, expected):
    with pytest.raises(InputError, match=expected):
        variants(text)
