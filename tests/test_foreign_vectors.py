"""Vectors from elsewhere in a study: every table has them, and only the layers that they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch
from conftest import run_stage
from safetensors.numpy import load_file

from sycophancy_steering.storage.vector_files import read_vectors

OWN = "vectors/extracted/tiny/pairs/mean_difference.safetensors"


def write_caa(study: Path, layers: tuple[int, ...]) -> None:
    """The study's own vector as CAA saves it, a file a layer."""
    vectors, _ = read_vectors(study / OWN)
    (study / "caa").mkdir()
    for layer in layers:
        torch.save(torch.from_numpy(vectors[layer]), study / f"caa/vec_layer_{layer}_Tiny-2-hf.pt")


def stage(study: Path, *words: str) -> str:
    done = run_stage(study, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_imported_vector_gets_the_numbers_of_the_same_vector_made_here(study):
    write_caa(study, (0, 2))
    printed = stage(study, "import_vectors", "caa", "--name", "caa", "--model", "tiny")
    assert "no vector: layer 1" in printed
    before = (study / "vectors/foreign/caa.safetensors").read_bytes()
    assert "caa: no vector: layer 1" in stage(study, "vectors", "tiny")
    assert (study / "vectors/foreign/caa.safetensors").read_bytes() == before
    stage(study, "predictivity")
    cells = pl.read_parquet(study / "reports/cells/tiny/foreign.parquet")
    assert set(cells["extraction_layer"]) == set(cells["layer"]) == {0, 2}
    own = pl.read_parquet(study / "reports/cells/tiny/pairs.parquet")
    keys = ["layer", "position", "family", "source", "split", "readout"]
    own = own.filter(vector="mean_difference").select(
        *keys, "auroc", "auroc_low", "rank_correlation"
    )
    both = cells.select(*keys, "auroc", "auroc_low", "rank_correlation").join(
        own, on=keys, nulls_equal=True
    )
    assert len(both) == len(cells)
    for name in ("auroc", "auroc_low", "rank_correlation"):
        np.testing.assert_array_equal(both[name], both[f"{name}_right"])
    stage(study, "analysis")
    folder = study / "reports/analysis/tiny"
    transfer = pl.read_csv(folder / "transfer.csv").filter(prompt_set="foreign")
    assert set(transfer["layer"]) == {0, 2}
    agreement = pl.read_csv(folder / "agreement.csv").filter(
        prompt_set="foreign/caa", other_prompt_set="pairs", other_position="answer"
    )
    assert agreement["layer"].to_list() == [0, 2]
    np.testing.assert_allclose(agreement["cosine"], 1, atol=1e-4)
    assert "foreign/caa" in set(pl.read_csv(folder / "predictivity.csv")["vector"])
    assert "foreign/caa" in set(pl.read_parquet(study / "reports/atlas.parquet")["vector"])
    for name in ("figures", "report"):
        stage(study, name)
    assert "foreign/caa" in (study / "reports/index.html").read_text()


def test_an_entry_of_params_does_the_same_and_one_that_is_gone_leaves_nothing(study):
    write_caa(study, (0, 1, 2))
    path = study / "params.yaml"
    text = path.read_text()
    entry = "foreign_vectors: {caa: {files: caa, model: tiny, negate: true}}"
    path.write_text(text.replace("foreign_vectors: {}", entry))
    assert "files outside vectors/foreign" in stage(study, "vectors", "tiny")
    made = load_file(study / "vectors/extracted/tiny/foreign/caa.safetensors")
    for name, vector in load_file(study / OWN).items():
        np.testing.assert_array_equal(made[name], -vector)
    printed = stage(study, "compare", "caa", "vectors/extracted/tiny/foreign/caa.safetensors")
    assert "Opposite sign at layers 0 to 2." in printed
    path.write_text(text)
    stage(study, "vectors", "tiny")
    assert not (study / "vectors/extracted/tiny/foreign").exists()


def test_folders_of_tensors_are_compared_as_plain_torch_does(tmp_path):
    draw = torch.Generator().manual_seed(1)
    values = torch.randn(2, 4, 64, generator=draw, dtype=torch.float32)
    for folder, layers, vectors in (("a", (0, 1, 2, 3), values[0]), ("b", (1, 2), values[1])):
        (tmp_path / folder).mkdir()
        for layer in layers:
            torch.save(vectors[layer], tmp_path / folder / f"layer_{layer}.pt")
    from sycophancy_steering.analysis.vector_pairs import layer_agreements, read_vector_file
    from sycophancy_steering.report.vector_pairs import gaps

    one, two = read_vector_file(tmp_path / "a"), read_vector_file(tmp_path / "b")
    agreements = layer_agreements(one, two)
    assert [one.layer for one in agreements] == [1, 2]
    for agreement in agreements:
        expected = torch.cosine_similarity(*values[:, agreement.layer], dim=0)
        assert abs(float(agreement.cosine.value) - float(expected)) < 1e-6
    assert gaps(one, two) == [f"Layers 0 and 3 are only in {tmp_path / 'a'}."]


def test_an_exported_vector_has_a_card_with_the_studys_numbers(study):
    stage(study, "export_vectors", OWN, "out/pairs.gguf", "--to", "gguf")
    card = (study / "out/pairs.README.md").read_text()
    assert "| method" in card and "mean_difference" in card
    assert "opinion" in card
    assert "random directions" in card
