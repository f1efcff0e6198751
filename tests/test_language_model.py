"""Models as they come: without a chat template, refusing system turns, out of reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import byte_tokenizer, tiny

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import LanguageModel, load_language_model
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Turn

ROOT = Path(__file__).parent.parent
CHAT = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    + CHAT
)
DEAF = CHAT.replace("{% for m in messages %}", "{% for m in messages if m['role'] == 'user' %}")
TURNS = (Turn("system", "Be kind."), Turn("user", "Is it?"))
CPU = ModelSettings("float32", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny("llama").model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def saved_with(folder: Path, template: str | None) -> LanguageModel:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return load_language_model(folder, CPU)


@pytest.mark.parametrize(
    ("template", "written", "style"),
    [
        (CHAT, "<system>Be kind.<user>Is it?<assistant>", "chat template"),
        (
            NO_SYSTEM,
            "<user>Be kind.\n\nIs it?<assistant>",
            "chat template, system turns joined to the user's",
        ),
        (
            DEAF,
            "<user>Be kind.\n\nIs it?<assistant>",
            "chat template, system turns joined to the user's",
        ),
        (None, "Be kind.\n\nIs it?", "plain text, as the model has no chat template"),
    ],
)
def test_a_system_turn_is_never_lost(folder, template, written, style):
    language_model = saved_with(folder, template)
    assert language_model.tokenizer.decode(language_model.encode_chat(TURNS)) == written
    assert language_model.prompt_style == style


def test_a_base_model_gets_its_tokenizers_special_tokens_and_a_template_writes_its_own(folder):
    from tokenizers.processors import TemplateProcessing

    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|end|> $A", special_tokens=[("<|end|>", 0)]
    )
    tokenizer.save_pretrained(folder)
    plain = load_language_model(folder, CPU)
    assert plain.encode_chat((Turn("user", "Is it?"),))[0] == 0
    assert plain.encode("A") == byte_tokenizer()("A")["input_ids"]
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    assert load_language_model(folder, CPU).encode_chat((Turn("user", "Is it?"),))[0] != 0


def test_a_model_needs_no_pad_token(folder):
    assert saved_with(folder, CHAT).tokenizer.pad_token_id is None  # and test_architectures runs it


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (
            ModelSettings("float32", "gpu"),
            r"model\.model\.device: expected auto or a device .*'gpu'",
        ),
        (
            ModelSettings("float32", "cpu", attention="flash_attention_2"),
            "cannot be loaded|pip install",
        ),
    ],
)
def test_a_placement_that_cannot_be_is_refused(folder, placement, message):
    byte_tokenizer().save_pretrained(folder)
    with pytest.raises(InputError, match=message):
        load_language_model(folder, placement)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_one_line(folder):
    byte_tokenizer().save_pretrained(folder)
    with pytest.raises(InputError, match="cannot be loaded") as refused:
        load_language_model(folder, ModelSettings("float32", "cuda"))
    assert "\n" not in str(refused.value)


def test_a_hub_out_of_reach_is_one_line_that_names_the_folder_option(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/source.json").write_text(
        '{"name": "some/model", "revision": "%s"}' % ("0" * 40)
    )
    code = (
        "from pathlib import Path; from sycophancy_steering.engine.language_model import *; "
        "from sycophancy_steering.config.model import ModelSettings; "
        "load_language_model(Path('far'), ModelSettings('float32', 'cpu'))"
    )
    env = os.environ | {
        "HF_HUB_OFFLINE": "1",  # as where nothing answers, but without a minute of retries
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT / "stages"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(
        "sycophancy_steering.foundation.errors.InputError: some/model: cannot be loaded ("
    )
    assert "set checkpoint.far to {kind: folder, name: PATH}" in last


def test_no_code_of_the_models_own_is_run(folder):
    byte_tokenizer().save_pretrained(folder)
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        config.replace("{", '{"auto_map": {"AutoModelForCausalLM": "evil.Model"},', 1).replace(
            '"model_type": "llama"', '"model_type": "evil"'
        )
    )
    with pytest.raises(InputError, match="cannot be loaded"):
        load_language_model(folder, CPU)
