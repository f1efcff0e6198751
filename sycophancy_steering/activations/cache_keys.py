"""Keys of cached results: everything that activations and responses depend on."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

from sycophancy_steering.activations.reference_logprobs import ChatAnswers
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.questions.question import EXTRACTION_SPLIT, Row
from sycophancy_steering.storage.activation_store import hash_of
from sycophancy_steering.storage.result_cache import code_and_libraries, digest

COMPUTED_BY = ("engine.forward", "activations.prompts", "activations.reference_logprobs")
"""The modules whose code, with all that they import, determines activations and responses."""
SETTINGS_ONLY = ("config",)
"""Folders whose code only reads settings; the settings' values are part of the key."""
BEHIND_TRANSFORMERS = ("tokenizers",)
"""Libraries that transformers calls and that determine results."""
NO_EFFECT = ("batch_tokens", "share_prefixes")
"""Settings that change no result."""


@cache
def computing_code() -> tuple[str | Path, ...]:
    """The code and library versions that determine activations, as parts of a digest."""
    libraries = [f"{name} {version(name)}" for name in BEHIND_TRANSFORMERS]
    return (*libraries, *code_and_libraries(*COMPUTED_BY, ignored=SETTINGS_ONLY))


def extraction_key(
    language_model: LanguageModel,
    settings: ActivationSettings,
    model_settings: ModelSettings,
    extract: str,
) -> str:
    """Identifies everything but the question that a model's activations and responses depend on.

    Device, batches and shared prefixes are left out: they change no result.
    """
    values = {name: value for name, value in asdict(settings).items() if name not in NO_EFFECT}
    weights = model_settings.dtype, model_settings.load_in_4bit
    template = language_model.template_hash, language_model.prompt_style
    parts = [language_model.revision, repr(values), repr(weights), repr(template), extract]
    return digest([*parts, *computing_code()])[:32]


def row_key(row: Row) -> str:
    """Identifies everything about a question that its activations and response depend on."""
    return hash_of(
        row.id,
        [[turn.role, "" if turn.own else turn.content] for turn in row.messages],
        row.choices,
        row.matching,
        row.not_matching,
        row.answers,
        row.form,
        row.split == EXTRACTION_SPLIT,
    )


def chat_key(chat: ChatAnswers) -> str:
    """Identifies a chat and the answers forced after it."""
    turns, texts = chat
    return hash_of([[turn.role, turn.content] for turn in turns], texts)
