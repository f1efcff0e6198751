"""How many prompt tokens are in memory at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.engine.prompt import TokenIds
from sycophancy_steering.foundation.memory import return_free_memory

BATCH_TOKENS = {"cpu": 8192}
"""By kind of device; `GPU_BATCH_TOKENS` for others."""
GPU_BATCH_TOKENS = 32768

Result = TypeVar("Result")


def batch_tokens(language_model: LanguageModel, settings: ActivationSettings) -> int:
    """Prompt tokens in memory at a time, padding included."""
    if settings.batch_tokens != "auto":
        return settings.batch_tokens
    return BATCH_TOKENS.get(language_model.model.device.type, GPU_BATCH_TOKENS)


class TokenBudget:
    """A number of tokens per batch that shrinks where memory runs out."""

    def __init__(self, language_model: LanguageModel, settings: ActivationSettings):
        self.language_model = language_model
        self.tokens = batch_tokens(language_model, settings)

    def try_batch(
        self, prompts: Sequence[TokenIds], compute: Callable[[], Result]
    ) -> Result | None:
        """The result of `compute`; None where the batch has to be run in two halves.

        Where memory runs out, the budget becomes half the size of this batch.
        """
        size = len(prompts) * max(map(len, prompts))
        if len(prompts) > 1 and size > self.tokens:
            return None
        try:
            result = compute()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if len(prompts) == 1 or not _is_out_of_memory(error):
                raise
        else:
            return_free_memory()
            return result
        self.tokens = max(1, size // 2)
        self.language_model.buffers.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"out of memory: batches of {self.tokens} tokens from here on", file=sys.stderr)
        return None


def halves(count: int) -> tuple[slice, slice]:
    """Two slices that cover `count` rows."""
    return slice(count // 2), slice(count // 2, None)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
