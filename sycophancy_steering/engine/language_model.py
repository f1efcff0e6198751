"""Loads a causal language model, and tokenizes chats with its template."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jinja2.exceptions import TemplateError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import logging

from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.blocked_attention import BLOCKED
from sycophancy_steering.engine.gguf_model import load_gguf
from sycophancy_steering.engine.intervention import NO_INTERVENTION, Intervention
from sycophancy_steering.engine.lower_layers import LowerLayersCache
from sycophancy_steering.engine.packed_linear import pack_linear_layers
from sycophancy_steering.engine.prompt import ChatTurn
from sycophancy_steering.engine.weights_location import locate_weights
from sycophancy_steering.foundation.errors import InputError

PLAIN_TEMPLATE = "{{ messages | map(attribute='content') | join('\n\n') }}"
"""For models without a chat template: the turns, separated by an empty line."""


@dataclass(frozen=True)
class LanguageModel:
    """A model with its tokenizer, its revision, and the intervention it runs under."""

    model: PreTrainedModel
    tokenizer: Any
    revision: str
    """Commit of the hub repository, or a hash: of the folder's weights and configuration, or of the
    GGUF file."""
    system_turn: bool = True
    """Whether the chat template takes a system turn."""
    buffers: dict[Any, Tensor] = field(default_factory=dict)
    """Memory that every batch overwrites (see `kv_cache.py`)."""
    intervention: Intervention = NO_INTERVENTION
    """Changes the residual stream in all passes."""
    lower_layers: LowerLayersCache | None = None
    """Replaces the lower layers in passes of tokens that follow a prompt."""

    @property
    def template_hash(self) -> str:
        """Hash of the chat template, or of the plain one used in its place."""
        template = self.tokenizer.chat_template or PLAIN_TEMPLATE
        return hashlib.sha256(str(template).encode()).hexdigest()[:16]

    @property
    def prompt_style(self) -> str:
        """How chats become text, in words."""
        if not self.tokenizer.chat_template:
            return "plain text, as the model has no chat template"
        joined = "" if self.system_turn else ", system turns joined to the user's"
        return f"chat template{joined}"

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.model.config.get_text_config().hidden_size

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of the next token (..., vocabulary), float32, from the last hidden states
        (..., d_model): the model's own head, run on the rows needed only."""
        head = self.model.get_output_embeddings()
        assert head is not None, "a causal language model has a head"
        device = next(head.parameters()).device
        logits = head(hidden.to(device)).float()
        cap = getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def encode_chat(self, messages: Sequence[ChatTurn]) -> list[int]:
        """Token ids of a chat, up to where the model's turn starts."""
        turns = [(turn.role, turn.content) for turn in messages]
        if turns[0][0] == "system" and len(turns) > 1 and not self.system_turn:
            (_, system), (role, content) = turns[:2]
            turns = [(role, f"{system}\n\n{content}"), *turns[2:]]
        text = chat_text(self.tokenizer, turns)
        # A chat template writes special tokens itself; the plain one leaves them to the tokenizer.
        special = not self.tokenizer.chat_template
        return self.tokenizer(text, add_special_tokens=special)["input_ids"]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text that follows a prompt, such as an answer."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def chat_text(tokenizer: Any, turns: Sequence[tuple[str, str]]) -> str:
    """A chat of (role, content) as text, by the chat template or else by `PLAIN_TEMPLATE`."""
    return tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in turns],
        chat_template=tokenizer.chat_template or PLAIN_TEMPLATE,
        tokenize=False,
        add_generation_prompt=True,
    )


def takes_system_turn(tokenizer: Any) -> bool:
    """Whether the chat template includes a system turn: some raise, some leave it out."""
    marker = "a-system-turn"
    try:
        return marker in chat_text(tokenizer, [("system", marker), ("user", "a question")])
    except TemplateError:
        return False


def load_language_model(
    folder: Path, settings: ModelSettings, adapter: Path | None = None
) -> LanguageModel:
    """The model in `folder`, or the one that its `source.json` points to, with the weights of a
    LoRA `adapter` (a folder of peft's) where one is given.

    Weights come from safetensors or a GGUF file only, and no code of the model's repository is run.
    Raises InputError for a folder without a model or tokenizer, for a hub that cannot be reached,
    and for weights that are not those that `source.json` is pinned to.
    """
    model, tokenizer, revision = load_model_and_tokenizer(folder, settings)
    exact = settings.dtype == "float32" and not settings.load_in_4bit
    if adapter is not None:
        model = load_adapter(model, adapter, merge=exact)
    packable = exact or (adapter is None and not settings.load_in_4bit)
    if packable and settings.packed_weights == "auto":
        pack_linear_layers(model)
    return LanguageModel(
        model=model.eval(),
        tokenizer=tokenizer,
        revision=revision,
        system_turn=takes_system_turn(tokenizer),
    )


def load_adapter(model: PreTrainedModel, adapter: Path, merge: bool) -> PreTrainedModel:
    """The model with an adapter: merged into its weights, or applied beside them where their dtype
    would round the sum."""
    from peft import PeftModel

    with warnings.catch_warnings():  # peft imports a name that transformers deprecates
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        with_adapter = PeftModel.from_pretrained(model, str(adapter), use_safetensors=True)
    if merge:
        return with_adapter.merge_and_unload()  # type: ignore[operator]
    return with_adapter.get_base_model()  # type: ignore[return-value]


def load_model_and_tokenizer(
    folder: Path, settings: ModelSettings
) -> tuple[PreTrainedModel, Any, str]:
    """Hugging Face's model and tokenizer, and the revision. Raises InputError."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # callers report prompts that are too long
    weights = locate_weights(folder)
    arguments = _loading_arguments(settings, folder.name)
    if weights.kind == "gguf" and settings.load_in_4bit:
        raise InputError(
            f"params.yaml: model.{folder.name}.load_in_4bit: expected false for a GGUF file, which "
            "is dequantised"
        )
    try:
        if weights.kind == "gguf":
            model, tokenizer = load_gguf(weights.path, arguments)
            # Adapters name the model that they are for: by a path that all machines have.
            model.config.name_or_path = model.name_or_path = str(folder)
        else:
            commit = {"revision": weights.revision} if weights.kind == "hub" else {}
            tokenizer = AutoTokenizer.from_pretrained(weights.name, **commit)
            model = AutoModelForCausalLM.from_pretrained(
                weights.name, **commit, **arguments, use_safetensors=True
            )
        if settings.device != "auto" and not settings.load_in_4bit:
            model.to(torch.device(settings.device))  # type: ignore[arg-type]
    except ImportError as error:
        raise InputError(
            f"{weights.name}: {_first_line(error)}; `pip install .[gpu]` has it"
        ) from None
    except (OSError, ValueError, RuntimeError, AssertionError) as error:
        remedy = {
            "folder": "expected a folder with config.json, model.safetensors and a tokenizer",
            "gguf": "expected a GGUF file that transformers can read, or another device",
            "hub": "if this machine cannot reach the hub, download the model elsewhere and set "
            f"checkpoint.{folder.name} to {{kind: folder, name: PATH}}; for a gated model run "
            "`hf auth login` first",
        }[weights.kind]
        raise InputError(
            f"{weights.name}: cannot be loaded ({_first_line(error)}); {remedy}"
        ) from None
    return model, tokenizer, weights.short_revision


def _loading_arguments(settings: ModelSettings, name: str) -> dict[str, Any]:
    """Arguments of Hugging Face's `from_pretrained`."""
    try:
        device = "auto" if settings.device == "auto" else torch.device(settings.device)
    except RuntimeError:
        raise InputError(
            f"params.yaml: model.{name}.device: expected auto or a device that torch knows (cpu, "
            f"cuda, cuda:1, mps), found {settings.device!r}"
        ) from None
    dtype = getattr(torch, settings.dtype)
    attention = settings.attention
    if attention == "auto":
        attention = BLOCKED if settings.device == "cpu" else "sdpa"
    arguments: dict[str, Any] = {"dtype": dtype, "attn_implementation": attention}
    if settings.load_in_4bit:
        arguments["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4"
        )
    if device == "auto" or settings.load_in_4bit:
        arguments["device_map"] = "auto" if device == "auto" else {"": device}
    return arguments


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
