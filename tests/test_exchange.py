"""Vectors of other tools: read as these write them, converted, and given back bit for bit."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from mutated_vectors import mutations, originals, outcome
from safetensors.torch import save_file

from sycophancy_steering.config.foreign_vectors import ForeignVectorSettings
from sycophancy_steering.exchange.exporting import export_vectors
from sycophancy_steering.exchange.foreign_vectors import ForeignVectors
from sycophancy_steering.exchange.importing import read_imported, write_imported
from sycophancy_steering.exchange.layer_numbers import layer_numbers, layers_in_words
from sycophancy_steering.exchange.reading import read_foreign_vectors
from sycophancy_steering.foundation.errors import InputError

VALUES = torch.randn(33, 8, generator=torch.Generator().manual_seed(0))
"""Hidden states of a model with 32 layers, from the embeddings on."""


def read(path: Path, n_layers: int | None = None, **settings) -> ForeignVectors:
    return read_foreign_vectors(
        ForeignVectorSettings(files=[str(path)], model="tiny", **settings), n_layers
    )


def assert_equal(vectors: ForeignVectors, expected: dict[int, torch.Tensor]) -> None:
    assert list(vectors.layers) == list(expected)
    for layer, vector in expected.items():
        assert vectors.layers[layer].tobytes() == vector.float().numpy().tobytes()


def caa(folder: Path, layers: tuple[int, ...] = (3, 13, 29), dtype=torch.float32) -> Path:
    folder.mkdir()
    for layer in layers:
        name = f"vec_layer_{layer}_Llama-2-7b-chat-hf.pt"
        torch.save(VALUES[layer].to(dtype), folder / name)
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_folder_of_one_file_a_layer_keeps_its_numbers_and_its_gaps(tmp_path, dtype):
    vectors = read(caa(tmp_path / "caa", dtype=dtype))
    assert_equal(vectors, {layer: VALUES[layer].to(dtype) for layer in (3, 13, 29)})
    assert vectors.origin.numbering == "blocks_from_0"
    assert vectors.origin.stored_as == str(dtype).removeprefix("torch.")
    assert np.isnan(vectors.dense(32)[4]).all()


def test_persona_vectors_start_at_the_embeddings(tmp_path):
    torch.save(VALUES, tmp_path / "sycophantic_response_avg_diff.pt")
    vectors = read(tmp_path / "sycophantic_response_avg_diff.pt")
    assert_equal(vectors, {layer: VALUES[layer + 1] for layer in range(32)})
    assert "embeddings" in vectors.left_out[0]


def test_steering_vectors_are_read_by_their_tensors(tmp_path):
    state = {"layer_activations": {5: VALUES[5], 6: VALUES[6]}, "layer_type": "decoder_block"}
    torch.save(state, tmp_path / "state.pt")
    vectors = read(tmp_path / "state.pt")
    assert_equal(vectors, {5: VALUES[5], 6: VALUES[6]})
    assert vectors.origin.site == "block output"


def test_the_rows_of_a_tensor_are_counted_by_the_models_layers_or_by_the_user(tmp_path):
    torch.save(VALUES, tmp_path / "rows.pt")
    assert_equal(read(tmp_path / "rows.pt", 32), {n: VALUES[n + 1] for n in range(32)})
    assert_equal(read(tmp_path / "rows.pt", 33), {n: VALUES[n] for n in range(33)})
    with pytest.raises(InputError, match="say `numbering`"):
        read(tmp_path / "rows.pt")
    with pytest.raises(InputError, match="layer 0, but numbering is blocks_from_1"):
        read(tmp_path / "rows.pt", numbering="blocks_from_1")


def test_a_control_vector_of_the_gguf_package_is_read(tmp_path):
    """As repeng's `export_gguf` writes it: direction N is block N, counted from 0."""
    writer = gguf.GGUFWriter(tmp_path / "v.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", 2)
    writer.add_array("general.tags", ["a", "b"])
    for layer in (1, 7):
        writer.add_tensor(f"direction.{layer}", VALUES[layer].numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    vectors = read(tmp_path / "v.gguf")
    assert_equal(vectors, {1: VALUES[1], 7: VALUES[7]})
    assert vectors.origin.made_from_model == "llama"


@pytest.mark.parametrize("name", ["model.layers.{}.vector", "layer_{:02}", "qwen2-{}", "{}"])
def test_safetensors_and_numpy_are_read_whatever_their_names(tmp_path, name):
    tensors = {name.format(layer): VALUES[layer] for layer in (2, 11)}
    save_file(tensors, tmp_path / "v.safetensors")
    arrays = {key: tensor.numpy() for key, tensor in tensors.items()}
    np.savez_compressed(tmp_path / "v.npz", allow_pickle=False, **arrays)
    for file in ("v.safetensors", "v.npz"):
        assert_equal(read(tmp_path / file), {2: VALUES[2], 11: VALUES[11]})


def test_scale_and_sign_are_applied_and_recorded(tmp_path):
    np.save(tmp_path / "layer_4.npy", VALUES[4].numpy())
    vectors = read(tmp_path / "layer_4.npy", scale=2.0, negate=True)
    assert_equal(vectors, {4: -2 * VALUES[4]})
    assert (vectors.origin.scale, vectors.origin.negated, vectors.origin.sign) == (
        2.0, True, "unknown",
    )  # fmt: skip


def test_an_imported_file_gives_back_what_was_imported(tmp_path):
    vectors = read(caa(tmp_path / "caa"), revision="abc", position="answer letter")
    path = tmp_path / "vectors.safetensors"
    write_imported(path, vectors)
    first = path.read_bytes()
    again = read_imported(path)
    assert_equal(again, {layer: VALUES[layer] for layer in (3, 13, 29)})
    assert again.origin == vectors.origin
    write_imported(path, again)
    assert path.read_bytes() == first


@pytest.mark.parametrize("to", ["gguf", "safetensors"])
def test_an_export_is_read_back_bit_for_bit_and_is_the_same_bytes_twice(tmp_path, to):
    vectors = read(caa(tmp_path / "caa"))
    out = tmp_path / f"out.{to}"
    export_vectors(vectors.layers, to, out, "llama", "# Card\n")
    first = out.read_bytes()
    assert_equal(read(out), {layer: VALUES[layer] for layer in (3, 13, 29)})
    export_vectors(vectors.layers, to, out, "llama", "# Card\n")
    assert out.read_bytes() == first
    assert (tmp_path / "out.README.md").read_text() == "# Card\n"


def test_llama_cpps_own_package_reads_the_exported_control_vector(tmp_path):
    export_vectors(
        {1: VALUES[1].numpy(), 4: VALUES[4].numpy()}, "gguf", tmp_path / "v", "llama", ""
    )
    reader = gguf.GGUFReader(tmp_path / "v")
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.model_hint"].contents() == "llama"
    assert [tensor.name for tensor in reader.tensors] == ["direction.1", "direction.4"]
    for tensor, layer in zip(reader.tensors, (1, 4), strict=True):
        assert tensor.data.dtype == np.float32
        assert tensor.data.tobytes() == VALUES[layer].numpy().tobytes()


def test_layer_0_has_no_place_in_a_control_vector_which_is_said(tmp_path):
    both = {0: VALUES[0].numpy(), 1: VALUES[1].numpy()}
    (line,) = export_vectors(both, "gguf", tmp_path / "v.gguf", "llama", "")
    assert "layer 0" in line
    assert_equal(read(tmp_path / "v.gguf"), {1: VALUES[1]})


class Code:
    """Runs a command where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_with_code_in_it_is_refused_in_one_line_and_nothing_runs(tmp_path, wrapped):
    code = Code(tmp_path / "ran")
    torch.save({"layer_1": VALUES[1], "note": code} if wrapped else code, tmp_path / "v.pt")
    with pytest.raises(InputError, match="could run code") as error:
        read(tmp_path / "v.pt")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()
    np.save(tmp_path / "v.npy", np.array([code]), allow_pickle=True)
    with pytest.raises(InputError, match="could run code"):
        read(tmp_path / "v.npy")
    assert not (tmp_path / "ran").exists()


def test_a_tensor_of_more_numbers_than_the_file_has_is_refused(tmp_path):
    torch.save(torch.zeros(1).expand(10**12), tmp_path / "layer_1.pt")
    with pytest.raises(InputError, match="more numbers than the file has"):
        read(tmp_path / "layer_1.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer_2": torch.full((8,), torch.nan)}, "layer 2: the vector has NaN"),
        ({"layer_2": torch.zeros(8)}, "layer 2: the vector is zero"),
        ({"layer_2": torch.ones(9)}, "widths 8 and 9"),
        ({"layer_2": torch.ones(8, dtype=torch.int32)}, "expected floating-point"),
        ({"layer_2": torch.ones(3, 8)}, r"shape \(3, 8\)"),
        ({"layer_01": torch.ones(8)}, "layer 1 twice: layer_01 and layer_1"),
        ({"bias": torch.ones(8)}, "say no layer"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line_that_says_where(tmp_path, change, message):
    save_file({"layer_1": VALUES[1], **change}, tmp_path / "v.safetensors")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "v.safetensors")


def test_vectors_of_another_model_are_refused(tmp_path):
    vectors = read(caa(tmp_path / "caa"))
    with pytest.raises(InputError, match="width 8, but the activations of tiny have 16"):
        vectors.check_fit("caa", "tiny", 32, 16)
    with pytest.raises(InputError, match=r"a vector for layer 29.* layers 0 to 23"):
        vectors.check_fit("caa", "tiny", 24, 8)


def test_a_layer_is_found_in_a_name():
    assert layer_numbers(["vec_layer_13_Llama-2-7b-chat-hf"]) == [13]
    assert layer_numbers(["blk.3.v2", "blk.12.v2"]) == [3, 12]
    assert layer_numbers(["a-7b-1", "a-7b-2"]) == [1, 2]
    assert layer_numbers(["a", "b"]) is None
    assert layers_in_words([0, 1, 2, 5]) == "layers 0 to 2 and 5"
    assert layers_in_words([7]) == "layer 7"


@pytest.mark.parametrize("name", originals())
def test_a_damaged_file_is_refused_in_one_line_or_read_as_finite_vectors(tmp_path, name):
    """10,000 of each: `python tests/mutated_vectors.py`."""
    data, path = originals()[name], tmp_path / name
    path.write_bytes(data)
    assert outcome(path) == "read"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = []
    for mutated in mutations(data, 200):
        path.write_bytes(mutated)
        outcomes.append(outcome(path))
    assert outcomes.count("refused") > 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KB
