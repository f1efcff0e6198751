"""Loads a causal language model and writes prompts the way it reads them."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jinja2.exceptions import TemplateError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import logging

from sycophancy_steering.engine.blocked_attention import BLOCKED
from sycophancy_steering.engine.intervention import NOTHING, Intervention
from sycophancy_steering.engine.lower_layers import Beneath
from sycophancy_steering.engine.packed_linear import pack
from sycophancy_steering.engine.residual_stream import blocks_of
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.questions.question import Turn

POINTER = "source.json"
"""In a model's folder: where the weights are, if not in the folder itself (see `checkpoint.py`)."""
PLAIN_TEMPLATE = "{{ messages | map(attribute='content') | join('\n\n') }}"
"""For models without a chat template: the turns, with an empty line between."""


@dataclass(frozen=True)
class Placement:
    """An entry of `model` in params.yaml: how a model is held in memory."""

    dtype: Literal["float32", "float16", "bfloat16"]
    device: str
    """A device that torch knows, or `auto`: over all GPUs (needs accelerate)."""
    four_bit: bool = False
    """Weights in four bits (NF4), computing in `dtype` (needs bitsandbytes)."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "blocked"] = "auto"
    """What Hugging Face knows, or `blocked` (see `blocked_attention.py`); `auto` is `blocked` on a
    processor, where it takes half the time, and `sdpa` elsewhere."""


@dataclass(frozen=True)
class LanguageModel:
    """A model, its tokenizer and what identifies them."""

    model: PreTrainedModel
    tokenizer: Any
    revision: str
    """Commit of the hub repository, or a hash of the folder's weights and configuration."""
    system_turn: bool = True
    """Whether the chat template takes a system turn."""
    storage: dict[Any, Tensor] = field(default_factory=dict)
    """Memory of passes, written over again and again (see `key_values.py`)."""
    intervention: Intervention = NOTHING
    """What is done to the residual stream in all passes."""
    beneath: Beneath | None = None
    """What is known of the layers under it, in passes of tokens that follow a prompt."""

    @property
    def template_hash(self) -> str:
        """Hash of the template that prompts are written with."""
        template = self.tokenizer.chat_template or PLAIN_TEMPLATE
        return hashlib.sha256(str(template).encode()).hexdigest()[:16]

    @property
    def style(self) -> str:
        """How prompts are written, in words."""
        if not self.tokenizer.chat_template:
            return "plain text, for want of a chat template"
        joined = "" if self.system_turn else ", system turns joined to the user's"
        return f"chat template{joined}"

    @property
    def width(self) -> int:
        """d_model."""
        return self.model.config.get_text_config().hidden_size

    def logits(self, hidden: Tensor) -> Tensor:
        """What comes next (..., vocabulary), float32, after the last hidden states (..., d_model).

        As the model's own forward pass has it, but for the rows that are wanted only.
        """
        head = self.model.get_output_embeddings()
        assert head is not None, "a causal language model has a head"
        at = next(head.parameters()).device
        logits = head(hidden.to(at)).float()
        cap = getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def write(self, messages: Sequence[Turn]) -> list[int]:
        """Token ids of a chat, up to where the model's answer begins."""
        turns = list(messages)
        if turns[0].role == "system" and len(turns) > 1 and not self.system_turn:
            joined = Turn(turns[1].role, f"{turns[0].content}\n\n{turns[1].content}")
            turns = [joined, *turns[2:]]
        text = chat_text(self.tokenizer, turns)
        # A template writes the special tokens itself; the plain one leaves them to the tokenizer.
        special = not self.tokenizer.chat_template
        return self.tokenizer(text, add_special_tokens=special)["input_ids"]

    def encode(self, text: str) -> list[int]:
        """Token ids of a piece of an answer, as it follows the prompt."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def decode(self, ids: list[int]) -> str:
        """The text of a piece of an answer, special tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def chat_text(tokenizer: Any, turns: Sequence[Turn]) -> str:
    """A chat as the tokenizer's template writes it, or else as `PLAIN_TEMPLATE` does."""
    return tokenizer.apply_chat_template(
        [{"role": turn.role, "content": turn.content} for turn in turns],
        chat_template=tokenizer.chat_template or PLAIN_TEMPLATE,
        tokenize=False,
        add_generation_prompt=True,
    )


def takes_system_turn(tokenizer: Any) -> bool:
    """Whether the chat template writes a system turn: some refuse it, some leave it out."""
    mark = "a-system-turn"
    try:
        return mark in chat_text(tokenizer, [Turn("system", mark), Turn("user", "a question")])
    except TemplateError:
        return False


def load_language_model(
    folder: Path, placement: Placement, adapter: Path | None = None
) -> LanguageModel:
    """The model in `folder`, or the one that the folder's `source.json` points to; with a LoRA
    `adapter` (a folder of peft's), the model that it was trained into.

    Weights come from safetensors only and no code of the model's own is run. Raises InputError for a
    folder without a model or without a tokenizer, and for a hub that cannot be reached.
    """
    model, tokenizer, revision = load_parts(folder, placement)
    exact = placement.dtype == "float32" and not placement.four_bit
    if adapter is not None:
        model = adapted(model, adapter, merge=exact)
    if exact or (adapter is None and not placement.four_bit):
        pack(blocks_of(model))
    return LanguageModel(
        model=model.eval(),
        tokenizer=tokenizer,
        revision=revision,
        system_turn=takes_system_turn(tokenizer),
    )


def adapted(model: PreTrainedModel, adapter: Path, merge: bool) -> PreTrainedModel:
    """With an adapter's weights added to its own, or, where these are too short to hold the sum,
    beside them."""
    from peft import PeftModel

    with warnings.catch_warnings():  # of a name that peft still asks for
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        with_adapter = PeftModel.from_pretrained(model, str(adapter), use_safetensors=True)
    if merge:
        return with_adapter.merge_and_unload()  # type: ignore[operator]
    return with_adapter.get_base_model()  # type: ignore[return-value]


def load_parts(folder: Path, placement: Placement) -> tuple[PreTrainedModel, Any, str]:
    """The model as Hugging Face has it, its tokenizer, and what it is told by. Raises InputError."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a long prompt is told by whoever asks it
    if not folder.is_dir():
        raise InputError(f"{folder}: no such model folder; run `dvc repro organism checkpoint`")
    name, revision = str(folder), None
    if (folder / POINTER).exists():
        source = json.loads((folder / POINTER).read_text())
        name, revision = source["name"], source["revision"]
    if (local := Path(name)).is_dir():
        if not list(local.glob("tokenizer*")):
            raise InputError(
                f"{name}: a model folder without a tokenizer; save tokenizer.json there"
            )
        if revision and fingerprint(local) != revision:
            raise InputError(
                f"{name}: not the weights that {folder / POINTER} was pinned to; run `dvc repro -f "
                f"checkpoint@{folder.name}` to study the new ones"
            )
    commit = {} if local.is_dir() else {"revision": revision}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **commit)
        model = AutoModelForCausalLM.from_pretrained(
            name, **commit, **_held(placement, folder.name), use_safetensors=True
        )
        if placement.device != "auto" and not placement.four_bit:
            model.to(torch.device(placement.device))  # type: ignore[arg-type]
    except ImportError as error:
        raise InputError(f"{name}: {_first_line(error)}; `pip install .[gpu]` has it") from None
    except (OSError, ValueError, RuntimeError, AssertionError) as error:
        remedy = (
            "expected a folder with config.json, model.safetensors and a tokenizer"
            if local.is_dir()
            else "if this machine cannot reach the hub, download the model elsewhere and set "
            f"checkpoint.{folder.name} to {{kind: folder, name: PATH}}; for a gated model run "
            "`hf auth login` first"
        )
        raise InputError(f"{name}: cannot be loaded ({_first_line(error)}); {remedy}") from None
    return model, tokenizer, revision or fingerprint(folder)


def _held(placement: Placement, name: str) -> dict[str, Any]:
    """What Hugging Face has to know of `placement`."""
    try:
        device = "auto" if placement.device == "auto" else torch.device(placement.device)
    except RuntimeError:
        raise InputError(
            f"params.yaml: model.{name}.device: expected auto or a device that torch knows (cpu, "
            f"cuda, cuda:1, mps), found {placement.device!r}"
        ) from None
    dtype = getattr(torch, placement.dtype)
    attention = placement.attention
    if attention == "auto":
        attention = BLOCKED if placement.device == "cpu" else "sdpa"
    held: dict[str, Any] = {"dtype": dtype, "attn_implementation": attention}
    if placement.four_bit:
        held["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4"
        )
    if device == "auto" or placement.four_bit:
        held["device_map"] = "auto" if device == "auto" else {"": device}
    return held


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def fingerprint(folder: Path) -> str:
    """Hash of the weights, configuration and tokenizer in a model folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in {".safetensors", ".json", ".jinja", ".model"}:
            digest.update(path.name.encode())
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
